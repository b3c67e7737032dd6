// SPDX-License-Identifier: MIT
// Keeps a Janus session for as long as WebRTC is wanted. It watches the WebSocket and the frames, never ICE, and has
// three answers to a loss:
//   the WebSocket went, frames still come,  claim the session on a new one: the picture never stops
//     or may with the next key frame
//   the WebSocket went, frames stopped      a new session, at once
//   the WebSocket holds, frames stopped     see recovery.js
// Before a WebSocket is opened the gateway is asked by HTTP whether it is there: browsers slow
// down pages whose WebSockets fail again and again, and a rebooting device makes them fail for long.
//
// Events: linked, lost, clock and sound (of JanusSession).

import { Backoff } from '../common/backoff.js';
import { IceServers } from './ice-servers.js';
import { JanusSession } from './janus-session.js';
import { Recovery, Remedy } from './recovery.js';

const SHORT_LINK_MS = 1000;

export class JanusLink extends EventTarget {
  #screen;
  #sessionOptions;
  #gatewayAnswers;
  #newSession;
  #iceServers;
  #session = null;
  #linked = false;
  #linkedSince = -Infinity;
  #lostAt = -Infinity;
  #connecting = false;
  #running = false;
  #mayTryAtOnce;
  #backoff = new Backoff();
  #recovery = new Recovery();
  #problem = null;
  #wantsSound = false;

  // screen: shows the session's track; gatewayAnswers: asks by HTTP; iceServers: for the first session, which is not to
  // wait for an answer then; newSession: of a test
  constructor(screen, { sessionOptions, iceServersUrl, iceServers, gatewayAnswers, newSession }) {
    super();
    this.#screen = screen;
    this.#sessionOptions = sessionOptions;
    this.#iceServers = new IceServers(iceServersUrl, iceServers);
    this.#mayTryAtOnce = Boolean(iceServers);
    this.#gatewayAnswers = gatewayAnswers;
    this.#newSession = newSession ?? ((options) => new JanusSession(options));
    screen.addEventListener('picture', () => {
      this.#problem = null;
      this.#backoff.reset();
    });
  }

  get isUp() {
    return this.#linked;
  }

  // When the WebSocket was lost last.
  get lostAt() {
    return this.#lostAt;
  }

  // {code, text} of the plugin, or {text} of Janus; null: none is known.
  get problem() {
    return this.#problem;
  }

  get peerConnection() {
    return this.#session?.peerConnection ?? null;
  }

  get isMediaUp() {
    return this.peerConnection?.connectionState === 'connected';
  }

  askClock() {
    this.#session?.askClock();
  }

  set wantsSound(wants) {
    this.#wantsSound = wants;
    if (this.#session) this.#session.wantsSound = wants;
  }

  start() {
    this.#running = true;
    this.#connect();
  }

  // The plugin stops sending and Janus forgets the session.
  stop() {
    this.#running = false;
    this.#screen.keepLastPicture();
    this.#session?.leave();
    this.#session = null;
    this.#linked = false;
    this.#backoff.endWait();
  }

  // No waiting, and no trust in an old socket.
  retryNow() {
    this.#backoff.reset();
    this.#backoff.endWait();
    if (this.#linked) this.#session.ping();
  }

  // facts: fresh (frames are decoded), expecting (nobody says that there is no picture)
  heal(now, { fresh, expecting }) {
    if (!this.#linked) return;
    const remedy = this.#recovery.next(now, {
      fresh,
      // While the plugin says why there is no picture, it is asked again anyway.
      expecting: expecting && this.#problem === null,
      mediaUp: this.isMediaUp,
    });
    if (remedy === Remedy.WATCH) this.#session.watch();
    if (remedy === Remedy.REBUILD) this.#rebuild();
  }

  async #connect() {
    if (this.#connecting || this.#linked) return;
    this.#connecting = true;
    // A link that did not hold must not be made anew in a tight loop.
    if (performance.now() - this.#linkedSince < SHORT_LINK_MS) await this.#backoff.wait();
    while (this.#running && !this.#linked) {
      if (await this.#isWorthwhile()) await this.#tryOnce();
      if (this.#running && !this.#linked) await this.#backoff.wait();
    }
    this.#connecting = false;
  }

  // The device has just sent the page, so the first try need not wait until it has answered once more.
  async #isWorthwhile() {
    const asked = this.#gatewayAnswers();
    if (this.#mayTryAtOnce) {
      this.#mayTryAtOnce = false;
      return true;
    }
    const [answers] = await Promise.all([asked, this.#iceServers.refresh()]);
    return answers;
  }

  // One attempt, which ends linked or not; a refused claim is followed by a new session at once.
  async #tryOnce() {
    if (!this.#running) return;
    if (this.#session?.isAttached && this.#screen.mayResume()) {
      if (await this.#outcome(this.#session, () => this.#session.claim())) return this.#link();
    }
    if (!this.#running) return;
    this.#dropSession();
    this.#session = this.#makeSession();
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

  #makeSession() {
    const session = this.#newSession({ ...this.#sessionOptions, iceServers: this.#iceServers.known });
    session.wantsSound = this.#wantsSound;
    session.addEventListener('track', (event) => this.#screen.show(event.detail.track));
    for (const type of ['clock', 'sound']) {
      session.addEventListener(type, ({ detail }) => this.dispatchEvent(new CustomEvent(type, { detail })));
    }
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

  #dropSession() {
    this.#screen.keepLastPicture();
    this.#session?.abandon();
    this.#session = null;
  }

  #link() {
    this.#linked = true;
    this.#problem = null;
    this.#linkedSince = performance.now();
    this.dispatchEvent(new Event('linked'));
  }

  #unlink() {
    if (!this.#linked) return;
    this.#linked = false;
    this.#lostAt = performance.now();
    this.dispatchEvent(new Event('lost'));
    this.#connect();
  }

  #rebuild() {
    this.#dropSession();
    this.#unlink();
  }
}
