// SPDX-License-Identifier: MIT
// H.264, decoded in a worker by WebCodecs.

const WORKER = '/static/video/h264-worker.js';
// What every decoder for H.264 can do: constrained baseline, level 3.1. What the device sends is tried.
const PLAINEST = { codec: 'avc1.42e01f', codedWidth: 1280, codedHeight: 720 };
const FLAG_BYTES = 1;

let workerUrl = null;

// Where the browser asks for it: the page's policy lets nothing else become code.
function trustedWorkerUrl() {
  const rules = { createScriptURL: () => WORKER };
  workerUrl ??= globalThis.trustedTypes?.createPolicy('h264-worker', rules).createScriptURL('') ?? WORKER;
  return workerUrl;
}

export async function canDecodeH264() {
  if (!('VideoDecoder' in globalThis && 'Worker' in globalThis)) return false;
  return VideoDecoder.isConfigSupported(PLAINEST).then(
    ({ supported }) => supported,
    () => false,
  );
}

export class H264Decoder {
  #worker = new Worker(trustedWorkerUrl());

  // onPicture: as of JpegDecoder; onLoss(): it goes on with a key frame alone; onUnsupported(): it never will;
  // onBroken(): another one might
  constructor({ onPicture, onLoss, onUnsupported, onBroken }) {
    this.#worker.addEventListener('message', ({ data: { id, frame, lost, unsupported } }) => {
      try {
        if (id !== undefined) onPicture(id, frame && drawable(frame));
      } finally {
        if (frame) this.#worker.postMessage({ drawn: true });
      }
      if (lost) onLoss();
      if (unsupported) onUnsupported();
    });
    // It could not be loaded, as while the web app restarts.
    this.#worker.addEventListener('error', onBroken);
  }

  // data: 1 or 0 (a byte) for a key frame, and the access unit
  decode(id, data) {
    const [isKey] = data;
    const unit = data.slice(FLAG_BYTES);
    this.#worker.postMessage({ id, isKey: isKey === 1, unit }, [unit.buffer]);
  }

  close() {
    this.#worker.terminate();
  }
}

function drawable(frame) {
  return Object.assign(frame, { width: frame.displayWidth, height: frame.displayHeight });
}
