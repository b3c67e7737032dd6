// SPDX-License-Identifier: MIT
// The worker that decodes H.264, with a decoder that does as a test says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import vm from 'node:vm';

const FILE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/h264-worker.js', import.meta.url);
const SPS = [0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0x8c];
const PPS = [0, 0, 0, 1, 0x68, 0xce];
const KEY = [...SPS, ...PPS, 0, 0, 1, 0x65, 0x88];
const DELTA = [0, 0, 1, 0x41, 0x9a];

let worker;

// One worker: what it says, what its decoders are told, and a way to hear from them.
function startWorker() {
  const made = { said: [], decoders: [] };
  class VideoDecoder {
    constructor({ output, error }) {
      Object.assign(this, { output, error, did: [] });
      made.decoders.push(this);
    }

    configure(config) {
      this.did.push({ ...config });
    }

    decode(chunk) {
      if (this.refuses) throw this.refuses;
      this.did.push([chunk.type, chunk.timestamp]);
    }

    close() {
      this.did.push('close');
    }
  }
  const context = {
    VideoDecoder,
    EncodedVideoChunk: class {
      constructor(facts) {
        Object.assign(this, facts);
      }
    },
    addEventListener: (_type, listener) => {
      made.hear = (id, bytes, isKey = false) => listener({ data: { id, isKey, unit: Uint8Array.from(bytes) } });
      made.hearDrawn = () => listener({ data: { drawn: true } });
    },
    postMessage: (message) => made.said.push({ ...message }),
    Error,
    Uint8Array,
  };
  vm.runInNewContext(readFileSync(FILE, 'utf8'), context, { filename: FILE.pathname });
  // Which the page draws at once.
  made.show = (id, decoder = made.decoders.at(-1)) => {
    decoder.output(frame(id));
    made.hearDrawn();
  };
  return made;
}

const closed = [];
const frame = (timestamp) => ({ timestamp, close: () => closed.push(timestamp) });
const words = ({ id, frame: picture, ...rest }) => ({
  ...(id !== undefined && { id, shown: Boolean(picture) }),
  ...rest,
});

beforeEach(() => {
  closed.length = 0;
  worker = startWorker();
});

test('frames are answered by their pictures, from a key frame on', () => {
  worker.hear(1, DELTA);
  worker.hear(2, KEY, true);
  worker.hear(3, DELTA);
  worker.show(2);
  worker.show(3);
  assert.deepEqual(worker.said.map(words), [
    { id: 1, shown: false },
    { id: 2, shown: true },
    { id: 3, shown: true },
  ]);
  assert.deepEqual(worker.decoders[0].did, [
    { codec: 'avc1.42e01f', optimizeForLatency: true },
    ['key', 2],
    ['delta', 3],
  ]);
});

test('what the decoder leaves out is answered, too', () => {
  worker.hear(1, KEY, true);
  worker.hear(2, DELTA);
  worker.hear(3, DELTA);
  worker.show(3);
  assert.deepEqual(worker.said.map(words), [
    { id: 1, shown: false },
    { id: 2, shown: false },
    { id: 3, shown: true },
  ]);
});

test('another size or profile is another decoder, and the same is not', () => {
  worker.hear(1, KEY, true);
  worker.hear(2, KEY, true);
  assert.equal(worker.decoders.length, 1);
  const other = [...KEY];
  other[5] = 0x64;
  worker.hear(3, other, true);
  assert.equal(worker.decoders.length, 2);
  assert.equal(worker.decoders[1].did[0].codec, 'avc1.64e01f');
  assert.equal(worker.decoders[0].did.at(-1), 'close');
  // What the old one still had is answered, and its late pictures are nothing.
  worker.show(2, worker.decoders[0]);
  worker.decoders[0].error(new Error('aborted'));
  worker.show(3);
  assert.deepEqual(worker.said.map(words), [
    { id: 1, shown: false },
    { id: 2, shown: false },
    { id: 3, shown: true },
  ]);
  assert.deepEqual(closed, [2]);
});

for (const [how, fail] of [
  ['later', () => worker.decoders[0].error(new Error('damaged'))],
  [
    'at once',
    () => {
      worker.decoders[0].refuses = new Error('damaged');
      worker.hear(3, DELTA);
    },
  ],
]) {
  test(`a decoder that fails ${how} asks for a key frame, and goes on with it`, () => {
    worker.hear(1, KEY, true);
    worker.show(1);
    worker.hear(2, DELTA);
    fail();
    assert.deepEqual(words(worker.said.at(-1)), { lost: true });
    const before = worker.said.length;
    worker.hear(4, DELTA);
    assert.deepEqual(words(worker.said[before]), { id: 4, shown: false });
    worker.hear(5, KEY, true);
    worker.show(5);
    assert.deepEqual(words(worker.said.at(-1)), { id: 5, shown: true });
    assert.equal(worker.decoders.length, 2);
    assert.equal(worker.decoders[0].did.at(-1), 'close');
    // Each was answered once.
    const answered = worker.said.map(({ id }) => id).filter((id) => id !== undefined);
    assert.deepEqual(answered, [...new Set(answered)]);
    assert.ok(answered.includes(2));
  });
}

test('a browser that can not is said so', () => {
  worker.hear(1, KEY, true);
  worker.decoders[0].error(Object.assign(new Error('no such codec'), { name: 'NotSupportedError' }));
  assert.deepEqual(worker.said.map(words), [{ id: 1, shown: false }, { unsupported: true }]);
});

test('what fails with each key frame is not decoded by this browser', () => {
  for (let id = 1; id <= 5; id += 1) {
    assert.equal(worker.said.filter(({ unsupported }) => unsupported).length, 0);
    worker.hear(id, KEY, true);
    worker.decoders.at(-1).error(Object.assign(new Error('damaged'), { name: 'EncodingError' }));
  }
  assert.deepEqual(words(worker.said.at(-1)), { unsupported: true });
});

test('failures are forgotten with a picture', () => {
  for (let id = 1; id <= 9; id += 2) {
    worker.hear(id, KEY, true);
    worker.show(id);
    worker.decoders.at(-1).error(new Error('damaged'));
    assert.deepEqual(words(worker.said.at(-1)), { lost: true });
  }
});

test('many frames that come at once are decoded', () => {
  worker.hear(0, KEY, true);
  for (let id = 1; id <= 60; id += 1) worker.hear(id, DELTA);
  assert.deepEqual(worker.said, []);
});

test('a key frame without a parameter set goes to the decoder that there is', () => {
  worker.hear(1, KEY, true);
  worker.hear(2, [0, 0, 1, 0x65, 0x88], true);
  assert.deepEqual(worker.decoders[0].did.at(-1), ['key', 2]);
  assert.equal(worker.decoders.length, 1);
});

test('what is decoded while the page draws is replaced by what is newer', () => {
  worker.hear(1, KEY, true);
  for (const id of [2, 3, 4]) worker.hear(id, DELTA);
  const [decoder] = worker.decoders;
  decoder.output(frame(1));
  for (const id of [2, 3, 4]) decoder.output(frame(id));
  assert.deepEqual(worker.said.map(words), [
    { id: 1, shown: true },
    { id: 2, shown: false },
    { id: 3, shown: false },
  ]);
  assert.deepEqual(closed, [2, 3]);
  worker.hearDrawn();
  assert.deepEqual(words(worker.said.at(-1)), { id: 4, shown: true });
  // And when nothing has come meanwhile, the next one is shown at once.
  worker.hearDrawn();
  worker.hear(5, DELTA);
  decoder.output(frame(5));
  assert.deepEqual(words(worker.said.at(-1)), { id: 5, shown: true });
});
