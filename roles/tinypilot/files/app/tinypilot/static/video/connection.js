// SPDX-License-Identifier: MIT
// Keeps the remote screen showing for as long as the page is open: starts and stops what brings the picture, and
// reports what the page is to say. WebRTC is tried all the time (janus-link.js); while it brings nothing, the picture
// comes over a WebSocket (socket-video.js), as H.264 or as JPEGs. transport.js decides.

import { canDecodeH264, H264Decoder } from './h264-decoder.js';
import { JanusLink } from './janus-link.js';
import { JpegDecoder } from './jpeg-decoder.js';
import { describe } from './screen-state.js';
import { SocketVideo } from './socket-video.js';
import { askSource, Source, SourceWatch } from './source-state.js';
import { Reason, Transport, TransportChoice } from './transport.js';
import { webRtcHasH264 } from './webrtc-video.js';

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
  #webCodecs;
  #mjpeg;
  #videos;
  #link;
  #hindrance = null; // of WebRTC, a Reason
  #usesLink = false;
  #canWebCodecs = null; // not known yet
  #transport = new TransportChoice();
  #startedAt = performance.now();
  #reachedAt = performance.now(); // by any transport
  #reachable = false;
  #running = false;
  #source = new SourceWatch();
  #pictureSince = 0;
  #wasFresh = false;
  #ticker = null;
  #due = { source: 0, frames: 0 };

  // options: sessionOptions (of JanusSession; null: this browser has no WebRTC), gatewayUrl, sourceUrl,
  // iceServersUrl, h264Url, h264Canvas, mjpegUrl, mjpegCanvas, newSession (of a test)
  constructor(screen, options) {
    super();
    this.#screen = screen;
    this.#options = options;
    const deviceAnswers = async () => (await this.#gatewayAnswers()) || this.#reachable;
    const { h264Url, h264Canvas, mjpegUrl, mjpegCanvas } = options;
    const newH264Decoder = (events) => new H264Decoder(events);
    const newJpegDecoder = (events) => new JpegDecoder(events);
    this.#webCodecs = new SocketVideo({ url: h264Url, canvas: h264Canvas, newDecoder: newH264Decoder, deviceAnswers });
    this.#mjpeg = new SocketVideo({ url: mjpegUrl, canvas: mjpegCanvas, newDecoder: newJpegDecoder, deviceAnswers });
    this.#videos = {
      [Transport.WEBRTC]: screen,
      [Transport.WEBCODECS]: this.#webCodecs,
      [Transport.MJPEG]: this.#mjpeg,
    };
    this.#hindrance = this.#findHindrance();
    canDecodeH264().then((can) => {
      this.#canWebCodecs = can;
      this.#followLink();
      this.#chooseTransport();
    });
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
    for (const video of [this.#webCodecs, this.#mjpeg]) {
      video.addEventListener('picture', () => {
        this.#chooseTransport();
        this.#report();
      });
    }
    this.#webCodecs.addEventListener('unsupported', () => {
      this.#canWebCodecs = false;
      this.#chooseTransport();
    });
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
    this.#followLink();
    this.#report();
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#startedAt = this.#reachedAt = performance.now();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#followLink();
    this.#report();
  }

  stop() {
    this.#running = false;
    clearInterval(this.#ticker);
    this.#webCodecs.stop();
    this.#mjpeg.stop();
    this.#followLink();
  }

  // The network is back, or the person looks again.
  retryNow() {
    this.#link.retryNow();
    this.#webCodecs.retryNow();
    this.#mjpeg.retryNow();
    this.#due.source = 0;
  }

  #findHindrance() {
    if (this.#options.sessionOptions === null) return Reason.NO_WEBRTC;
    return webRtcHasH264() ? null : Reason.NO_WEBRTC_H264;
  }

  #followLink() {
    const facts = { hindrance: this.#hindrance, canWebCodecs: this.#canWebCodecs };
    const uses = this.#running && this.#transport.usesWebRtc(facts);
    if (uses === this.#usesLink) return;
    this.#usesLink = uses;
    if (uses) this.#link.start();
    else this.#link.stop();
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
      // A browser may download its decoder after its first start.
      this.#hindrance = this.#findHindrance();
      this.#followLink();
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
    if (this.#canWebCodecs === null) return;
    const now = performance.now();
    this.#transport.next(now, {
      hindrance: this.#hindrance,
      fresh: this.#isFresh(),
      canWebCodecs: this.#canWebCodecs,
      webCodecsFresh: this.#webCodecs.isFresh(),
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
    const { current, triesWebCodecs } = this.#transport;
    if (triesWebCodecs) this.#webCodecs.start();
    else this.#webCodecs.stop();
    if (current === Transport.MJPEG) this.#mjpeg.start();
    else this.#mjpeg.stop();
    // What lies behind is shown when it has a picture, and not before.
    if (current !== Transport.MJPEG && this.#isShownFresh) this.#mjpeg.hide();
    if (current === Transport.WEBRTC && this.#isFresh()) this.#webCodecs.hide();
  }

  // By any transport.
  get #isLinked() {
    return this.#link.isUp || this.#webCodecs.isOpen || this.#mjpeg.isOpen;
  }

  get #isShownFresh() {
    return this.shown === this.#screen ? this.#isFresh() : this.shown.isFresh();
  }

  async #askSource() {
    this.#source.note(performance.now(), await askSource(this.#options.sourceUrl));
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
      problem: this.#link.problem,
      blocked: this.#screen.isBlocked,
      browserOffline: navigator.onLine === false,
    });
    const { current: transport, reason } = this.#transport;
    this.dispatchEvent(new CustomEvent('change', { detail: { ...said, transport, reason } }));
  }
}
