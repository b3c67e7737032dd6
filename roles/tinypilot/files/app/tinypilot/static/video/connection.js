// SPDX-License-Identifier: MIT
// Keeps the remote screen connected for as long as the page is open. It watches the WebSocket and
// the frames, never ICE, and has three answers to a loss:
//   the WebSocket went, frames still come,  claim the session on a new one: the picture never stops
//     or may with the next key frame
//   the WebSocket went, frames stopped      a new session, at once
//   the WebSocket holds, frames stopped     see recovery.js
// While WebRTC brings nothing the picture comes as JPEGs (transport.js), and WebRTC is tried on.
// Before a WebSocket is opened the gateway is asked by HTTP whether it is there: browsers slow
// down pages whose WebSockets fail again and again, and a rebooting device makes them fail for long.

import { Backoff } from '../common/backoff.js';
import { IceServers } from './ice-servers.js';
import { JanusSession } from './janus-session.js';
import { MjpegVideo } from './mjpeg-video.js';
import { Transport, TransportChoice } from './transport.js';
import { Recovery, Remedy } from './recovery.js';
import { describe } from './screen-state.js';
import { askSource, Source, SourceWatch } from './source-state.js';

const TICK_MS = 200;
const ASK_SOURCE_MS = { steady: 2000, fast: 500 };
const COUNT_FRAMES_MS = 1000;
const ASK_GATEWAY_TIMEOUT_MS = 1500;
// Without a capture service frames can only come from the plugin's memory, and not for long.
const FRAMES_WITHOUT_CAPTURE = { run: 1500 };
const SHORT_LINK_MS = 1000;
const NEW_PICTURE_MS = 3000;
const SLOW_RATE = 2;

export class Connection extends EventTarget {
  #options;
  #screen;
  #mjpeg;
  #iceServers;
  #transport = new TransportChoice();
  #session = null;
  #linked = false;
  #linkedSince = -Infinity;
  #unlinkedSince = performance.now();
  #reachedAt = performance.now(); // by either transport
  #reachable = false;
  #connecting = false;
  #running = false;
  #backoff = new Backoff();
  #recovery = new Recovery();
  #source = new SourceWatch();
  #pictureSince = 0;
  #wasFresh = false;
  #problem = null;
  #wake = null;
  #ticker = null;
  #due = { source: 0, frames: 0 };

  // options: sessionOptions (of JanusSession; null: this browser has no WebRTC), gatewayUrl, sourceUrl,
  // iceServersUrl, mjpegUrl, mjpegCanvas
  constructor(screen, options) {
    super();
    this.#screen = screen;
    this.#options = options;
    this.#iceServers = new IceServers(options.iceServersUrl);
    this.#mjpeg = new MjpegVideo({
      url: options.mjpegUrl,
      canvas: options.mjpegCanvas,
      deviceAnswers: async () => (await this.#gatewayAnswers()) || this.#reachable,
    });
    screen.addEventListener('picture', () => {
      this.#problem = null;
      this.#pictureSince = performance.now();
      this.#backoff.reset();
      this.#chooseTransport();
      this.#report();
    });
    this.#mjpeg.addEventListener('picture', () => this.#report());
  }

  // What shows the picture now: it has width, height, framesPerSecond, isFresh(), hadPicture.
  get shown() {
    return this.#transport.current === Transport.MJPEG ? this.#mjpeg : this.#screen;
  }

  get transport() {
    return this.#transport.current;
  }

  get peerConnection() {
    return this.#session?.peerConnection ?? null;
  }

  // The answer is an event `clock`, as JanusSession has it.
  askClock() {
    this.#session?.askClock();
  }

  get pin() {
    return this.#transport.pin;
  }

  // One of Transport, or null: whichever works.
  set pin(transport) {
    this.#transport.pin = transport;
    this.#chooseTransport();
    if (!this.#running) return;
    if (this.#usesWebRtc) this.#connect();
    else this.#leaveSession();
    this.#report();
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#unlinkedSince = this.#reachedAt = performance.now();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#connect();
    this.#report();
  }

  // The person leaves: the plugin stops sending and Janus forgets the session.
  stop() {
    this.#running = false;
    clearInterval(this.#ticker);
    this.#mjpeg.stop();
    this.#leaveSession();
    this.#wake?.();
  }

  // The network is back, or the person looks again: no waiting, and no trust in an old socket.
  retryNow() {
    this.#backoff.reset();
    this.#wake?.();
    this.#mjpeg.retryNow();
    if (this.#linked) this.#session.ping();
    this.#due.source = 0;
  }

  get #usesWebRtc() {
    return this.#options.sessionOptions !== null && this.#transport.pin !== Transport.MJPEG;
  }

  async #connect() {
    if (this.#connecting || this.#linked || !this.#usesWebRtc) return;
    this.#connecting = true;
    // A link that did not hold must not be made anew in a tight loop.
    if (performance.now() - this.#linkedSince < SHORT_LINK_MS) await this.#pause(this.#backoff.next());
    while (this.#running && this.#usesWebRtc && !this.#linked) {
      const [answers] = await Promise.all([this.#gatewayAnswers(), this.#iceServers.refresh()]);
      if (answers) await this.#tryOnce();
      if (this.#running && this.#usesWebRtc && !this.#linked) await this.#pause(this.#backoff.next());
    }
    this.#connecting = false;
  }

  async #gatewayAnswers() {
    try {
      const response = await fetch(this.#options.gatewayUrl, {
        cache: 'no-store',
        signal: AbortSignal.timeout(ASK_GATEWAY_TIMEOUT_MS),
      });
      this.#reachable = true;
      if (response.status === 401) this.dispatchEvent(new Event('lockedout'));
      return response.ok;
    } catch {
      this.#reachable = false;
      return false;
    }
  }

  // One attempt, which ends linked or not; a refused claim is followed by a new session at once.
  async #tryOnce() {
    if (!this.#running || !this.#usesWebRtc) return;
    if (this.#session?.isAttached && this.#screen.mayResume()) {
      if (await this.#outcome(this.#session, () => this.#session.claim())) return this.#link();
    }
    if (!this.#running || !this.#usesWebRtc) return;
    this.#dropSession();
    this.#session = this.#newSession();
    if (await this.#outcome(this.#session, () => this.#session.open())) this.#link();
    else if (this.#running) this.#dropSession();
  }

  #outcome(session, action) {
    return new Promise((resolve) => {
      const ends = new AbortController();
      const settle = (result) => {
        ends.abort();
        resolve(result);
      };
      for (const good of ['ready', 'claimed']) {
        session.addEventListener(good, () => settle(true), { signal: ends.signal });
      }
      for (const bad of ['lost', 'refused', 'ended']) {
        session.addEventListener(bad, () => settle(false), { signal: ends.signal });
      }
      action();
    });
  }

  #newSession() {
    const session = new JanusSession({ ...this.#options.sessionOptions, iceServers: this.#iceServers.known });
    session.addEventListener('track', (event) => this.#screen.show(event.detail.track));
    session.addEventListener('clock', ({ detail }) => this.dispatchEvent(new CustomEvent('clock', { detail })));
    session.addEventListener('problem', (event) => {
      this.#problem = event.detail;
    });
    session.addEventListener('answered', () => {
      this.#problem = null;
    });
    session.addEventListener('hungup', () => session.watch());
    session.addEventListener('lost', () => this.#unlink());
    session.addEventListener('refused', (event) => {
      if (this.#linked) this.#rebuild();
      this.#problem = { text: event.detail.reason };
    });
    return session;
  }

  #leaveSession() {
    this.#screen.keepLastPicture();
    this.#session?.leave();
    this.#session = null;
    this.#linked = false;
  }

  #dropSession() {
    this.#screen.keepLastPicture();
    this.#session?.abandon();
    this.#session = null;
  }

  #link() {
    this.#linked = true;
    this.#problem = null;
    this.#linkedSince = performance.now();
    this.#due.source = 0;
    this.#report();
  }

  #unlink() {
    if (!this.#linked) return;
    this.#linked = false;
    this.#unlinkedSince = performance.now();
    this.#report();
    this.#connect();
  }

  #rebuild() {
    this.#dropSession();
    this.#unlink();
  }

  #tick() {
    const now = performance.now();
    const fresh = this.#isFresh();
    if (this.#isLinked) this.#reachedAt = now;
    const fast =
      !this.#isShownFresh || this.shown.framesPerSecond < SLOW_RATE || now - this.#pictureSince < NEW_PICTURE_MS;
    // No frames may mean no network: the socket has to prove itself.
    if (this.#wasFresh && !fresh) this.retryNow();
    this.#wasFresh = fresh;
    if (now >= this.#due.frames) {
      this.#due.frames = now + COUNT_FRAMES_MS;
      this.#screen.countDecoded(this.peerConnection);
    }
    if (this.#isLinked && now >= this.#due.source) {
      this.#due.source = now + (fast ? ASK_SOURCE_MS.fast : ASK_SOURCE_MS.steady);
      this.#askSource();
    }
    if (this.#linked) this.#heal(now, fresh);
    this.#chooseTransport();
    this.#report();
  }

  #chooseTransport() {
    const now = performance.now();
    this.#transport.next(now, {
      possible: this.#options.sessionOptions !== null,
      fresh: this.#isFresh(),
      mjpegFresh: this.#mjpeg.isFresh(),
      reachable: this.#isLinked || this.#reachable,
      expectsPicture: !this.#source.isOff && this.#source.state !== Source.DOWN,
      linked: this.#linked,
      unlinkedFor: now - this.#unlinkedSince,
      problem: this.#problem,
      mediaUp: this.#isMediaUp,
      blocked: this.#screen.isBlocked,
    });
    if (!this.#running) return;
    if (this.#transport.current === Transport.MJPEG) return this.#mjpeg.start();
    this.#mjpeg.stop();
    if (this.#isFresh()) this.#mjpeg.hide();
  }

  // By either transport.
  get #isLinked() {
    return this.#linked || this.#mjpeg.isOpen;
  }

  get #isShownFresh() {
    return this.shown === this.#screen ? this.#isFresh() : this.#mjpeg.isFresh();
  }

  get #isMediaUp() {
    return this.peerConnection?.connectionState === 'connected';
  }

  async #askSource() {
    this.#source.note(performance.now(), await askSource(this.#options.sourceUrl));
    this.#report();
  }

  #heal(now, fresh) {
    const remedy = this.#recovery.next(now, {
      fresh,
      // While the plugin says why there is no picture, it is asked again anyway.
      expecting: this.#problem === null && !this.#source.isOff && !this.#screen.isBlocked,
      mediaUp: this.#isMediaUp,
    });
    if (remedy === Remedy.WATCH) this.#session.watch();
    if (remedy === Remedy.REBUILD) this.#rebuild();
  }

  #isFresh() {
    return this.#screen.isFresh(this.#source.state === Source.DOWN ? FRAMES_WITHOUT_CAPTURE : {});
  }

  #report() {
    const said = describe({
      linked: this.#isLinked,
      unlinkedFor: performance.now() - this.#reachedAt,
      reachable: this.#reachable,
      fresh: this.#isShownFresh,
      hadPicture: this.#screen.hadPicture || this.#mjpeg.hadPicture,
      source: this.#source.state,
      problem: this.#problem,
      blocked: this.#screen.isBlocked,
      browserOffline: navigator.onLine === false,
    });
    const { current: transport, reason } = this.#transport;
    this.dispatchEvent(new CustomEvent('change', { detail: { ...said, transport, reason } }));
  }

  #pause(delay) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delay);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
