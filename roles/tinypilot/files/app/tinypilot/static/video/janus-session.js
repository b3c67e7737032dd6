// SPDX-License-Identifier: MIT
// One Janus session with one handle on the uStreamer plugin, spoken with Janus' own janus.js:
// create, attach, watch -> offer, answer -> start; stop on leaving. It reports, it does not decide:
// what to do after a loss is janus-link.js' business.
//
// Events: ready (attached), track {track}, problem {code, text} (the plugin has no picture yet),
// sound {track} (while wantsSound), answered (the answer is on its way), clock {askedAt, heardAt, rtpTimestamp, hz},
// hungup, lost (the WebSocket), refused (Janus said no),
// ended (by this page).

import { WatchedSocket } from './watched-socket.js';

const PLUGIN = 'janus.plugin.ustreamer';
const NO_PICTURE_YET = 503;
// Of what is sent here only `features` may be unknown: to uStreamer's own plugin before 5.32.
const NOT_IMPLEMENTED = 405;
const RETRY_WATCH_MS = { [NO_PICTURE_YET]: 250, other: 1000 };
const KEEPALIVE_MS = 5000;

let socketOwner = null;

// Janus is to begin the DTLS handshake, not the browser. A browser is ready for packets first, and Janus drops what comes
// before it is: the browser repeats its first packet 50 ms later.
function waitForHandshake(answer) {
  answer.sdp = answer.sdp.replace(/^a=setup:active\b/gm, 'a=setup:passive');
}

// Browsers decode Opus to one channel, unless they say that they want two.
function wantStereo(answer) {
  const [, payloadType] = answer.sdp.match(/^a=rtpmap:(\d+) opus/im) ?? [];
  answer.sdp = answer.sdp.replace(`a=fmtp:${payloadType} `, `a=fmtp:${payloadType} stereo=1;`);
}

export function prepareJanus({ Janus, adapter }) {
  Janus.init({
    debug: false,
    dependencies: {
      newWebSocket: (url, protocol) => socketOwner.openSocket(url, protocol),
      isArray: Array.isArray,
      extension: { init() {} },
      webRTCAdapter: adapter,
      httpAPICall() {
        throw new Error('Janus is reached by WebSocket only');
      },
    },
  });
}

export class JanusSession extends EventTarget {
  #Janus;
  #url;
  #iceServers;
  #janus = null;
  #handle = null;
  #socket = null;
  #watchTimer = null;
  #over = false;
  #track = null;
  #isNegotiating = false; // from `watch` to the answer
  #isStale = false; // what `watch` asked for is not what is wanted now
  #wantsSound = false;
  #soundTrack = null;
  #clockAskedAt = null;

  constructor({ Janus, url, iceServers }) {
    super();
    this.#Janus = Janus;
    this.#url = url;
    this.#iceServers = iceServers;
  }

  get peerConnection() {
    return this.#handle?.webrtcStuff.pc ?? null;
  }

  // The connection that there is changes, and the picture goes on. An offer that is underway is answered first: Janus
  // and browsers take one at a time. The track that comes may be the one that there was.
  set wantsSound(wants) {
    if (wants === this.#wantsSound) return;
    this.#wantsSound = wants;
    if (!wants) this.#soundTrack = null;
    if (this.#isNegotiating) this.#isStale = true;
    else this.watch();
  }

  get isAttached() {
    return this.#handle !== null;
  }

  open() {
    this.#asSocketOwner(() => {
      this.#janus = new this.#Janus({
        server: this.#url,
        iceServers: this.#iceServers,
        keepAlivePeriod: KEEPALIVE_MS,
        destroyOnUnload: false, // leave() does it, on pagehide: beforeunload may be called off
        success: () => this.#attach(),
        error: (reason) => this.#refuse(reason),
      });
    });
  }

  // The WebSocket is gone, the media may still flow: ask for the same session on a new socket.
  claim() {
    this.#asSocketOwner(() => {
      this.#janus.reconnect({
        success: () => this.#emit('claimed'),
        error: (reason) => this.#refuse(reason),
      });
    });
  }

  // Asks for the picture, again if need be: always on the same handle.
  watch() {
    clearTimeout(this.#watchTimer);
    if (this.#over || !this.#handle) return;
    this.#isNegotiating = true;
    this.#isStale = false;
    this.#handle.send({
      message: { request: 'watch', ...(this.#wantsSound && { params: { audio: true } }) },
      error: (reason) => this.#refuse(reason),
    });
  }

  // Anything that Janus answers will do; silence makes WatchedSocket give up.
  ping() {
    if (!this.#over) this.#janus?.getInfo();
  }

  // In which time frames are stamped. A plugin of another make says nothing of it. One question at a time: the answer
  // to an earlier one would seem to have come at once.
  askClock() {
    if (this.#over || !this.#handle || this.#clockAskedAt !== null) return;
    this.#clockAskedAt = performance.now();
    this.#handle.send({ message: { request: 'features' } });
  }

  // The person leaves, or wants no picture: Janus is told at once, nobody waits for its answer.
  leave() {
    if (this.#handle) this.#handle.send({ message: { request: 'stop' } });
    const janus = this.#janus;
    this.#closeMedia();
    janus?.destroy({ notifyDestroyed: false });
    this.#end();
  }

  // Forgets everything here. Nothing can be said to a Janus that is out of reach.
  abandon() {
    this.#closeMedia();
    this.#end();
    this.#socket?.close();
  }

  openSocket(url, protocol) {
    this.#socket?.close();
    const socket = new WatchedSocket(url, protocol);
    socket.addEventListener('lost', (event) => {
      clearTimeout(this.#watchTimer);
      if (socket === this.#socket) this.#emit('lost', { reason: event.detail });
    });
    this.#socket = socket;
    return socket;
  }

  #asSocketOwner(action) {
    socketOwner = this;
    action();
    socketOwner = null;
  }

  #end() {
    this.#emit('ended');
    this.#over = true;
    clearTimeout(this.#watchTimer);
  }

  #emit(type, detail = {}) {
    if (!this.#over) this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // janus.js reports a socket that never opened the same way as a refusal; the former is "lost".
  #refuse(reason) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#emit('refused', { reason: String(reason) });
  }

  #attach() {
    if (this.#over) return;
    this.#janus.attach({
      plugin: PLUGIN,
      success: (handle) => {
        this.#handle = handle;
        this.#emit('ready');
        this.watch();
      },
      error: (reason) => this.#refuse(reason),
      onmessage: (message, jsep) => this.#onMessage(message, jsep),
      // Called twice for one track (created, unmuted): a second srcObject would abort play().
      onremotetrack: (track, _mid, added) => {
        if (track.kind === 'audio') this.#noteSound(track, added);
        if (!added || track.kind !== 'video' || track === this.#track) return;
        this.#track = track;
        this.#emit('track', { track });
      },
      oncleanup: () => {
        this.#track = null;
        this.#soundTrack = null;
        this.#emit('hungup');
      },
    });
  }

  #onMessage(message, jsep) {
    if (this.#over) return;
    const clock = message.result?.features?.clock;
    if (jsep) {
      this.#answer(jsep);
    } else if (clock) {
      const { rtp_timestamp: rtpTimestamp, hz } = clock;
      this.#emit('clock', { askedAt: this.#clockAskedAt, heardAt: performance.now(), rtpTimestamp, hz });
      this.#clockAskedAt = null;
    } else if (message.error_code && message.error_code !== NOT_IMPLEMENTED) {
      this.#emit('problem', { code: message.error_code, text: String(message.error ?? '') });
      const delay = RETRY_WATCH_MS[message.error_code] ?? RETRY_WATCH_MS.other;
      clearTimeout(this.#watchTimer);
      this.#watchTimer = setTimeout(() => this.watch(), delay);
    }
  }

  // The same track comes and goes with what was asked for.
  #noteSound(track, added) {
    const isNew = added && track !== this.#soundTrack;
    this.#soundTrack = added ? track : null;
    if (isNew) this.#emit('sound', { track });
  }

  #answer(offer) {
    const tracks = [{ type: 'video', capture: false, recv: true }];
    if (this.#wantsSound && /^m=audio/m.test(offer.sdp)) tracks.push({ type: 'audio', capture: false, recv: true });
    this.#handle.createAnswer({
      jsep: offer,
      tracks,
      customizeSdp: (answer) => {
        waitForHandshake(answer);
        wantStereo(answer);
      },
      success: (answer) => {
        if (this.#over) return;
        this.#showFramesAtOnce();
        this.#handle.send({ message: { request: 'start' }, jsep: answer });
        this.#emit('answered');
        this.#isNegotiating = false;
        if (this.#isStale) this.watch();
      },
      error: (reason) => this.#emit('refused', { reason: String(reason?.message ?? reason) }),
    });
  }

  // A KVM is pointed at with a mouse: no frame may wait in a buffer for a smoother one.
  #showFramesAtOnce() {
    for (const receiver of this.peerConnection?.getReceivers() ?? []) {
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
      else if ('playoutDelayHint' in receiver) receiver.playoutDelayHint = 0;
    }
  }

  #closeMedia() {
    const handle = this.#handle;
    this.#handle = null;
    if (!handle) return;
    handle.oncleanup = () => {};
    handle.hangup(false);
  }
}
