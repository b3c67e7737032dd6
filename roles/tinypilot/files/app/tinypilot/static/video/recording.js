// SPDX-License-Identifier: MIT
// Screenshots and recordings: files that this browser makes of what it shows.

const TYPES = {
  silent: ['video/mp4;codecs=avc1.42E01F', 'video/mp4', 'video/webm;codecs=h264', 'video/webm'],
  sounding: ['video/mp4;codecs=avc1.42E01F,opus', 'video/mp4', 'video/webm;codecs=h264,opus', 'video/webm'],
};
const PIECE_MS = 1000;
const KEEP_URL_MS = 60000;

// rack-3-2026-11-22-19-30-05.png
export function fileName(device, moment, extension) {
  const name =
    device
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-|-$/g, '') || 'kvm';
  const two = (value) => String(value).padStart(2, '0');
  const day = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())];
  const time = [two(moment.getHours()), two(moment.getMinutes()), two(moment.getSeconds())];
  return `${[name, ...day, ...time].join('-')}.${extension}`;
}

export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_URL_MS);
}

// A PNG of the element as it is turned, in the size that was captured.
export function screenshot(element, { width, height, rotation }) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = rotation % 180 ? [height, width] : [width, height];
  const context = canvas.getContext('2d');
  context.translate(canvas.width / 2, canvas.height / 2);
  context.rotate((rotation * Math.PI) / 180);
  context.drawImage(element, -width / 2, -height / 2, width, height);
  return new Promise((resolve) => {
    canvas.toBlob(resolve, 'image/png');
  });
}

// Records a stream until stop() is called or the stream ends, as when the connection is made anew.
export class Recording extends EventTarget {
  #recorder;
  #pieces = [];

  constructor(stream) {
    super();
    const types = stream.getAudioTracks().length > 0 ? TYPES.sounding : TYPES.silent;
    const mimeType = types.find((type) => MediaRecorder.isTypeSupported(type));
    this.#recorder = new MediaRecorder(stream, { mimeType });
    this.#recorder.addEventListener('dataavailable', ({ data }) => data.size > 0 && this.#pieces.push(data));
    this.#recorder.addEventListener('stop', () => this.dispatchEvent(new Event('end')));
    this.#recorder.start(PIECE_MS);
  }

  // What was recorded, after the end; null if that is nothing.
  get blob() {
    return this.#pieces.length > 0 ? new Blob(this.#pieces, { type: this.#recorder.mimeType }) : null;
  }

  get extension() {
    return this.#recorder.mimeType.startsWith('video/mp4') ? 'mp4' : 'webm';
  }

  stop() {
    if (this.#recorder.state !== 'inactive') this.#recorder.stop();
  }
}
