// SPDX-License-Identifier: MIT
// Keeps the remote screen showing for as long as the page is open: starts and stops what brings the picture, and
// reports what the page is to say. WebRTC is tried all the time (janus-link.js); while it brings nothing, the picture
// comes as JPEGs (transport.js decides).

import { JanusLink } from './janus-link.js';
import { MjpegVideo } from './mjpeg-video.js';
import { describe } from './screen-state.js';
import { askSignal, askSource, Source, SourceWatch } from './source-state.js';
import { Transport, TransportChoice } from './transport.js';

const TICK_MS = 200;
const ASK_SOURCE_MS = { steady: 2000, fast: 500 };
const COUNT_FRAMES_MS = 1000;
const ASK_GATEWAY_TIMEOUT_MS = 1500;
// Without a capture service frames can only come from the plugin's memory, and not for long.
const FRAMES_WITHOUT_CAPTURE = { run: 1500 };
const NEW_PICTURE_MS = 3000;
const SLOW_RATE = 2;

export class Connection extends EventTarget {
  #options;
  #screen;
  #mjpeg;
  #videos;
  #link;
  #transport = new TransportChoice();
  #startedAt = performance.now();
  #reachedAt = performance.now(); // by any transport
  #reachable = false;
  #running = false;
  #source = new SourceWatch();
  #signal = null; // what the device says of the video cable, while there is no picture
  #pictureSince = 0;
  #wasFresh = false;
  #ticker = null;
  #due = { source: 0, frames: 0 };

  // options: sessionOptions (of JanusSession; null: this browser has no WebRTC), gatewayUrl, sourceUrl, signalUrl,
  // iceServersUrl, mjpegUrl, mjpegCanvas, newSession (of a test)
  constructor(screen, options) {
    super();
    this.#screen = screen;
    this.#options = options;
    this.#mjpeg = new MjpegVideo({
      url: options.mjpegUrl,
      canvas: options.mjpegCanvas,
      deviceAnswers: async () => (await this.#gatewayAnswers()) || this.#reachable,
    });
    this.#videos = { [Transport.WEBRTC]: screen, [Transport.MJPEG]: this.#mjpeg };
    this.#link = new JanusLink(screen, { ...options, gatewayAnswers: () => this.#gatewayAnswers() });
    this.#link.addEventListener('linked', () => {
      this.#due.source = 0;
      this.#report();
    });
    this.#link.addEventListener('lost', () => this.#report());
    this.#link.addEventListener('clock', ({ detail }) => this.dispatchEvent(new CustomEvent('clock', { detail })));
    screen.addEventListener('picture', () => {
      this.#pictureSince = performance.now();
      this.#chooseTransport();
      this.#report();
    });
    this.#mjpeg.addEventListener('picture', () => this.#report());
  }

  // What shows the picture now: it has width, height, framesPerSecond, isFresh(), hadPicture.
  get shown() {
    return this.#videos[this.#transport.current];
  }

  get transport() {
    return this.#transport.current;
  }

  get peerConnection() {
    return this.#link.peerConnection;
  }

  // The answer is an event `clock`, as JanusSession has it.
  askClock() {
    this.#link.askClock();
  }

  get pin() {
    return this.#transport.pin;
  }

  // One of Transport, or null: whichever works.
  set pin(transport) {
    this.#transport.pin = transport;
    this.#chooseTransport();
    if (!this.#running) return;
    if (this.#usesWebRtc) this.#link.start();
    else this.#link.stop();
    this.#report();
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#startedAt = this.#reachedAt = performance.now();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    if (this.#usesWebRtc) this.#link.start();
    this.#report();
  }

  stop() {
    this.#running = false;
    clearInterval(this.#ticker);
    this.#mjpeg.stop();
    this.#link.stop();
  }

  // The network is back, or the person looks again.
  retryNow() {
    this.#link.retryNow();
    this.#mjpeg.retryNow();
    this.#due.source = 0;
  }

  get #usesWebRtc() {
    return this.#options.sessionOptions !== null && this.#transport.pin !== Transport.MJPEG;
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
    this.#link.heal(now, { fresh, expecting: !this.#source.isOff && !this.#screen.isBlocked });
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
      linked: this.#link.isUp,
      unlinkedFor: now - Math.max(this.#startedAt, this.#link.lostAt),
      problem: this.#link.problem,
      mediaUp: this.#link.isMediaUp,
      blocked: this.#screen.isBlocked,
    });
    if (!this.#running) return;
    if (this.#transport.current === Transport.MJPEG) return this.#mjpeg.start();
    this.#mjpeg.stop();
    if (this.#isFresh()) this.#mjpeg.hide();
  }

  // By any transport.
  get #isLinked() {
    return this.#link.isUp || this.#mjpeg.isOpen;
  }

  get #isShownFresh() {
    return this.shown === this.#screen ? this.#isFresh() : this.shown.isFresh();
  }

  async #askSource() {
    const reading = await askSource(this.#options.sourceUrl);
    this.#source.note(performance.now(), reading);
    this.#report();
    const isOff = reading === Source.OFFLINE || reading === Source.SILENT;
    this.#signal = isOff ? await askSignal(this.#options.signalUrl) : null;
    this.#report();
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
      hadPicture: Object.values(this.#videos).some((video) => video.hadPicture),
      source: this.#source.state,
      signal: this.#signal,
      problem: this.#link.problem,
      blocked: this.#screen.isBlocked,
      browserOffline: navigator.onLine === false,
    });
    const { current: transport, reason } = this.#transport;
    this.dispatchEvent(new CustomEvent('change', { detail: { ...said, transport, reason } }));
  }
}
