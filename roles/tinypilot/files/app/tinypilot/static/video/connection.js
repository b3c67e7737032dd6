// SPDX-License-Identifier: MIT
// Keeps the remote screen showing for as long as the page is open: starts and stops what brings the picture, and
// reports what the page is to say. WebRTC is tried all the time (janus-link.js); while it brings nothing, the picture
// comes over a WebSocket (socket-video.js), as H.264 or as JPEGs. transport.js decides. What that needs is loaded when it
// is needed, or when the first picture has been there for a while: then a network that is lost does not matter.

import { load } from '../common/load.js';
import { JanusLink } from './janus-link.js';
import { describe } from './screen-state.js';
import { askSignal, askSource, Source, SourceWatch } from './source-state.js';
import { Reason, Transport, TransportChoice } from './transport.js';
import { webRtcHasH264 } from './webrtc-video.js';

const TICK_MS = 200;
const ASK_SOURCE_MS = { steady: 2000, fast: 500 };
const COUNT_FRAMES_MS = 1000;
const ASK_GATEWAY_TIMEOUT_MS = 1500;
// Without a capture service frames can only come from the plugin's memory, and not for long.
const FRAMES_WITHOUT_CAPTURE = { run: 1500 };
const NEW_PICTURE_MS = 3000;
const LOAD_RESERVE_MS = 5000; // after the first picture
const LOAD_AGAIN_MS = 2000;
const SLOW_RATE = 2;

export class Connection extends EventTarget {
  #options;
  #screen;
  #videos;
  #isLoading = false;
  #isAsking = false;
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
  #signal = null; // what the device says of the video cable, while there is no picture
  #pictureSince = 0;
  #wasFresh = false;
  #ticker = null;
  #due = { source: 0, frames: 0 };
  #wantsSound = false;
  #soundTrack = null;

  // options: sessionOptions (of JanusSession; null: this browser has no WebRTC), gatewayUrl, sourceUrl, signalUrl,
  // iceServersUrl, h264Url, h264Canvas, mjpegUrl, mjpegCanvas, newSession (of a test)
  constructor(screen, options) {
    super();
    this.#screen = screen;
    this.#options = options;
    this.#videos = { [Transport.WEBRTC]: screen };
    this.#hindrance = this.#findHindrance();
    this.#link = new JanusLink(screen, { ...options, gatewayAnswers: () => this.#gatewayAnswers() });
    this.#link.addEventListener('linked', () => {
      this.#due.source = 0;
      this.#report();
    });
    this.#link.addEventListener('lost', () => this.#report());
    this.#link.addEventListener('clock', ({ detail }) => this.dispatchEvent(new CustomEvent('clock', { detail })));
    this.#link.addEventListener('sound', ({ detail }) => {
      this.#soundTrack = detail.track;
      this.dispatchEvent(new CustomEvent('sound', { detail }));
    });
    screen.addEventListener('picture', () => {
      this.#pictureSince = performance.now();
      this.#notePicture();
    });
  }

  // What shows the picture now: it has width, height, framesPerSecond, isFresh(), hadPicture.
  get shown() {
    return this.#videos[this.#transport.current] ?? this.#screen;
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

  // Over WebRTC alone. What comes is told by an event `sound` with its track.
  set wantsSound(wants) {
    this.#wantsSound = wants;
    this.#link.wantsSound = wants;
  }

  // null: none is wanted, or none has come yet.
  get soundTrack() {
    return this.#wantsSound && this.#soundTrack?.readyState === 'live' ? this.#soundTrack : null;
  }

  // What is shown and heard, for a recording.
  get stream() {
    const { stream } = this.shown;
    const { soundTrack } = this;
    return soundTrack && this.shown === this.#screen ? new MediaStream([...stream.getTracks(), soundTrack]) : stream;
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
    this.#chooseTransport();
    this.#report();
  }

  stop() {
    this.#running = false;
    clearInterval(this.#ticker);
    for (const video of this.#socketVideos) video.stop();
    this.#followLink();
  }

  // The network is back, or the person looks again.
  retryNow() {
    this.#link.retryNow();
    for (const video of this.#socketVideos) video.retryNow();
    this.#due.source = 0;
  }

  // Frames begin to come: what was said of the computer before holds no more.
  #notePicture() {
    if (this.#source.isOff) this.#askSource();
    this.#chooseTransport();
    this.#report();
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
    if (uses) {
      this.#startedAt = performance.now();
      this.#link.start();
    } else this.#link.stop();
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
      !this.#isShownFresh ||
      this.#source.isOff ||
      this.shown.framesPerSecond < SLOW_RATE ||
      now - this.#pictureSince < NEW_PICTURE_MS;
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
    const now = performance.now();
    const { [Transport.WEBCODECS]: webCodecs, [Transport.MJPEG]: mjpeg } = this.#videos;
    this.#transport.next(now, {
      hindrance: this.#hindrance,
      fresh: this.#isFresh(),
      canWebCodecs: this.#canWebCodecs,
      webCodecsFresh: webCodecs?.isFresh() ?? false,
      mjpegFresh: mjpeg?.isFresh() ?? false,
      reachable: this.#isLinked || this.#reachable,
      expectsPicture: !this.#source.isOff && this.#source.state !== Source.DOWN,
      linked: this.#link.isUp,
      unlinkedFor: now - Math.max(this.#startedAt, this.#link.lostAt),
      problem: this.#link.problem,
      mediaUp: this.#link.isMediaUp,
      blocked: this.#screen.isBlocked,
    });
    if (!this.#running) return;
    const { current, needsReserve, triesWebCodecs } = this.#transport;
    const hasPicture = this.#pictureSince > 0 && now - this.#pictureSince >= LOAD_RESERVE_MS;
    if (needsReserve || hasPicture) this.#load();
    if (!mjpeg) return;
    if (triesWebCodecs) webCodecs.start();
    else webCodecs.stop();
    if (current === Transport.MJPEG) mjpeg.start();
    else mjpeg.stop();
    // What lies behind is shown when it has a picture, and not before.
    if (current !== Transport.MJPEG && this.#isShownFresh) mjpeg.hide();
    if (current === Transport.WEBRTC && this.#isFresh()) webCodecs.hide();
  }

  // What can't be loaded is tried again.
  #load() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#makeSocketVideos().catch(() => {
      setTimeout(() => {
        this.#isLoading = false;
      }, LOAD_AGAIN_MS);
    });
  }

  async #makeSocketVideos() {
    const { canDecodeH264, newH264Video, newJpegVideo } = await load(new URL('./socket-videos.js', import.meta.url));
    const can = await canDecodeH264();
    const deviceAnswers = async () => (await this.#gatewayAnswers()) || this.#reachable;
    const { h264Url, h264Canvas, mjpegUrl, mjpegCanvas } = this.#options;
    const webCodecs = newH264Video({ url: h264Url, canvas: h264Canvas, deviceAnswers });
    const mjpeg = newJpegVideo({ url: mjpegUrl, canvas: mjpegCanvas, deviceAnswers });
    for (const video of [webCodecs, mjpeg]) {
      video.addEventListener('picture', () => this.#notePicture());
    }
    webCodecs.addEventListener('unsupported', () => this.#noteWebCodecs(false));
    Object.assign(this.#videos, { [Transport.WEBCODECS]: webCodecs, [Transport.MJPEG]: mjpeg });
    this.#noteWebCodecs(can);
  }

  #noteWebCodecs(can) {
    this.#canWebCodecs = can;
    this.#followLink();
    this.#chooseTransport();
    this.#report();
  }

  get #socketVideos() {
    return Object.values(this.#videos).filter((video) => video !== this.#screen);
  }

  // By any transport.
  get #isLinked() {
    return this.#link.isUp || this.#socketVideos.some((video) => video.isOpen);
  }

  get #isShownFresh() {
    return this.shown === this.#screen ? this.#isFresh() : this.shown.isFresh();
  }

  // What the computer does and what the device says of the cable are told together.
  async #askSource() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const reading = await askSource(this.#options.sourceUrl);
    const isOff = reading !== Source.ONLINE || !this.#isShownFresh;
    const signal = isOff ? await askSignal(this.#options.signalUrl) : null;
    this.#isAsking = false;
    this.#signal = signal;
    this.#source.note(performance.now(), reading);
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
