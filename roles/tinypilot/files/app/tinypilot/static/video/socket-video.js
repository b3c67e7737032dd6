// SPDX-License-Identifier: MIT
// The picture over a WebSocket, drawn on a canvas: the way without UDP. Each frame that was drawn is told to the device,
// which sends no more than the line takes: so the picture never lags behind, and what is shown is known to be fresh.

import { Backoff } from '../common/backoff.js';
import { FrameWatch } from './frame-watch.js';

const AGE_BYTES = 4; // of the frame when it was sent, in microseconds; then comes what the decoder takes
const COUNT_MS = 1000;
// uStreamer repeats its last frame each second when it gets no newer one, as from an encoder that hangs.
const OLD_MS = 2000;
// Something comes each second, at least. A browser takes minutes to notice a network that went away.
const SILENCE_MS = 5000;
const FIRST_SILENCE_MS = 20000;

export class SocketVideo extends EventTarget {
  #url;
  #canvas;
  #newDecoder;
  #deviceAnswers;
  #socket = null;
  #running = false;
  #keeping = false;
  #backoff = new Backoff();
  #frames = new FrameWatch();
  #count = { frames: 0, bytes: 0, since: 0 };
  #rate = { frames: 0, bits: 0 };
  #latencyMs = null;
  #hadPicture = false;

  // newDecoder: makes a JpegDecoder or an H264Decoder; deviceAnswers: asks by HTTP, because browsers slow down pages
  // whose WebSockets keep failing. Events: picture (frames begin to come), unsupported (this browser decodes none)
  constructor({ url, canvas, newDecoder, deviceAnswers }) {
    super();
    this.#url = url;
    this.#canvas = canvas;
    this.#newDecoder = newDecoder;
    this.#deviceAnswers = deviceAnswers;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  get hadPicture() {
    return this.#hadPicture;
  }

  get element() {
    return this.#canvas;
  }

  get stream() {
    return this.#canvas.captureStream();
  }

  get width() {
    return this.#canvas.hidden ? 0 : this.#canvas.width;
  }

  get height() {
    return this.#canvas.hidden ? 0 : this.#canvas.height;
  }

  get framesPerSecond() {
    return this.isFresh() ? this.#rate.frames : 0;
  }

  get bitsPerSecond() {
    return this.isFresh() ? this.#rate.bits : 0;
  }

  // From capture to the canvas, without the way through the network.
  get latencyMs() {
    return this.isFresh() ? this.#latencyMs : null;
  }

  isFresh() {
    return this.#running && this.#frames.isFresh(performance.now());
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#frames.reset();
    this.#backoff.reset();
    if (!this.#keeping) this.#keepOpen();
  }

  // The last frame stays until hide(): nothing goes black meanwhile.
  stop() {
    if (!this.#running) return;
    this.#running = false;
    this.#socket?.close();
    this.#backoff.endWait();
  }

  hide() {
    this.#canvas.hidden = true;
  }

  retryNow() {
    this.#backoff.reset();
    this.#backoff.endWait();
  }

  async #keepOpen() {
    this.#keeping = true;
    while (this.#running) {
      if (await this.#deviceAnswers()) await this.#untilLost();
      if (this.#running) await this.#backoff.wait();
    }
    this.#keeping = false;
  }

  #untilLost() {
    if (!this.#running) return null;
    const socket = new WebSocket(this.#url);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    const underway = new Map();
    let frames = 0;
    const say = (word) => socket.readyState === WebSocket.OPEN && socket.send(word);
    const decoder = this.#newDecoder({
      onPicture: (id, picture) => {
        const sent = underway.get(id);
        underway.delete(id);
        if (socket !== this.#socket || !this.#running) return picture?.close();
        if (picture) this.#draw(picture, sent);
        say('shown');
      },
      onLoss: () => say('key'),
      onUnsupported: () => this.dispatchEvent(new Event('unsupported')),
      onBroken: () => socket.close(),
    });
    return new Promise((resolve) => {
      const lose = () => {
        clearTimeout(patience);
        if (socket === this.#socket) this.#socket = null;
        socket.close();
        decoder.close();
        resolve();
      };
      // The first frame is the largest, and is heard of only when it is there.
      let patience = setTimeout(lose, FIRST_SILENCE_MS);
      socket.addEventListener('close', lose);
      socket.addEventListener('message', ({ data }) => {
        if (socket !== this.#socket) return;
        clearTimeout(patience);
        patience = setTimeout(lose, SILENCE_MS);
        // A decoder that hangs says nothing, and the device waits for it.
        const [oldest] = underway.values();
        if (oldest && performance.now() - oldest.at > SILENCE_MS) return lose();
        if (data.byteLength <= AGE_BYTES + 1) return; // the device lives, and has no frame
        frames += 1;
        const ageMs = new DataView(data).getUint32(0) / 1000;
        underway.set(frames, { ageMs, at: performance.now(), bytes: data.byteLength });
        decoder.decode(frames, new Uint8Array(data, AGE_BYTES));
      });
    });
  }

  #draw(picture, { ageMs, at, bytes }) {
    this.#show(picture);
    if (ageMs < OLD_MS) this.#note(bytes);
    this.#latencyMs = ageMs + performance.now() - at;
  }

  #show(picture) {
    const { width, height } = picture;
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    this.#canvas.getContext('2d').drawImage(picture, 0, 0);
    this.#canvas.hidden = false;
    picture.close();
  }

  #note(bytes) {
    const now = performance.now();
    const before = this.#frames.isFresh(now);
    this.#frames.note(now);
    this.#count.frames += 1;
    this.#count.bytes += bytes;
    const span = now - this.#count.since;
    if (span >= COUNT_MS) {
      if (span < 2 * COUNT_MS) {
        this.#rate = { frames: (this.#count.frames * 1000) / span, bits: (this.#count.bytes * 8000) / span };
      }
      this.#count = { frames: 0, bytes: 0, since: now };
    }
    if (before || !this.#frames.isFresh(now)) return;
    this.#hadPicture = true;
    this.#backoff.reset();
    this.dispatchEvent(new Event('picture'));
  }
}
