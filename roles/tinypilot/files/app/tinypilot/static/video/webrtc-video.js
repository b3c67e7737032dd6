// SPDX-License-Identifier: MIT
// The picture: a video element, the truth about its frames, and the last picture kept on a canvas
// behind it, so that nothing goes black while the connection is made anew.

import { FrameWatch } from './frame-watch.js';

// Firefox has it when it has downloaded a decoder, and browsers without patents' licences never.
export function webRtcHasH264() {
  const capabilities = globalThis.RTCRtpReceiver?.getCapabilities?.('video');
  // One that does not tell is tried.
  return !capabilities || capabilities.codecs.some(({ mimeType }) => mimeType.toLowerCase() === 'video/h264');
}

export class WebRtcVideo extends EventTarget {
  #video;
  #lastPicture;
  #frames = new FrameWatch();
  #decoded = { total: 0, keyFrames: 0, at: 0 };
  #rate = 0;
  #hadPicture = false;
  #blocked = false;
  #presented = null;

  constructor({ video, lastPicture }) {
    super();
    this.#video = video;
    this.#lastPicture = lastPicture;
    if ('requestVideoFrameCallback' in video) this.#watchFrames();
  }

  get hadPicture() {
    return this.#hadPicture;
  }

  // The browser plays nothing before somebody touches the page.
  get isBlocked() {
    return this.#blocked && this.#video.paused;
  }

  get element() {
    return this.#video;
  }

  get stream() {
    return this.#video.srcObject;
  }

  get width() {
    return this.#video.videoWidth;
  }

  get height() {
    return this.#video.videoHeight;
  }

  get framesPerSecond() {
    return this.#rate;
  }

  // The newest frame: its RTP timestamp, and when it is on the screen. null without a fresh one, or where the browser
  // does not say.
  get presented() {
    return this.isFresh() ? this.#presented : null;
  }

  isFresh(demands) {
    return this.#frames.isFresh(performance.now(), demands);
  }

  // Whether the connection may be well all the same while no frame comes.
  mayResume() {
    return this.#frames.mayResume(performance.now());
  }

  show(track) {
    this.keepLastPicture();
    this.#frames.reset();
    this.#decoded = { total: 0, keyFrames: 0, at: 0 };
    this.#rate = 0;
    this.#presented = null;
    this.#video.srcObject = new MediaStream([track]);
    this.play();
  }

  // Muted and inline: only a newer srcObject ends it, or a browser that is told to start nothing by itself.
  play() {
    this.#blocked = false;
    this.#video.play().catch((error) => {
      this.#blocked = error.name === 'NotAllowedError';
    });
  }

  keepLastPicture() {
    const { width, height } = this;
    if (!this.#frames.hasSeenFrames || width === 0) return;
    this.#lastPicture.width = width;
    this.#lastPicture.height = height;
    this.#lastPicture.getContext('2d').drawImage(this.#video, 0, 0);
    this.#lastPicture.hidden = false;
  }

  // A hidden page gets no frame callbacks and still decodes, some browsers have none at all, and the rate
  // is only known here.
  async countDecoded(peerConnection) {
    const report = await peerConnection?.getStats().catch(() => null);
    if (!report) return;
    for (const stats of report.values()) {
      if (stats.type !== 'inbound-rtp' || stats.kind !== 'video') continue;
      const now = performance.now();
      const frames = (stats.framesDecoded ?? 0) - this.#decoded.total;
      if (this.#decoded.at > 0 && frames >= 0) {
        const span = now - this.#decoded.at;
        this.#rate = (frames * 1000) / span;
        if (document.hidden || !('requestVideoFrameCallback' in this.#video)) this.#noteFrames(now, frames, span);
      }
      const keyFrames = stats.keyFramesDecoded ?? 0;
      this.#frames.noteKeyFrames(now, keyFrames - this.#decoded.keyFrames);
      this.#decoded = { total: stats.framesDecoded ?? 0, keyFrames, at: now };
    }
  }

  #watchFrames() {
    this.#video.requestVideoFrameCallback((now, { rtpTimestamp, expectedDisplayTime, receiveTime }) => {
      this.#presented = rtpTimestamp === undefined ? null : { rtpTimestamp, at: expectedDisplayTime };
      // What the plugin remembers comes at once, and a slow computer takes its time to decode it: that is no longer
      // fresh then. Not every browser says when it came.
      this.#noteFrames(receiveTime ?? now, 1);
      this.#watchFrames();
    });
  }

  #noteFrames(at, count, span) {
    if (count <= 0 || this.isBlocked) return;
    const before = this.isFresh();
    this.#frames.note(at, count, span);
    if (before || !this.isFresh()) return;
    this.#hadPicture = true;
    this.#lastPicture.hidden = true; // another size would peep out behind the video
    this.dispatchEvent(new Event('picture'));
  }
}
