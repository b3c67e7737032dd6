// SPDX-License-Identifier: MIT
// An upload in pieces: what is sent again, when it gives up, and what a file is called.
import assert from 'node:assert/strict';
import { describe as group, test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);
const { ApiError } = await import(new URL('common/api.js', BASE));
const { imageName, upload } = await import(new URL('media/upload.js', BASE));

const MIB = 1024 * 1024;
const refusal = (status, message = 'No.') => Object.assign(new ApiError(message), { status });

// A device: what has arrived, and what goes wrong with the next requests, in their order.
function device(file, { troubles = [], beginTroubles = [], tookMs = 0 } = {}) {
  const arrived = [];
  const did = { pieces: [], pauses: [], progress: [], begun: 0 };
  let now = 0;
  const offset = () => arrived.reduce((sum, { size }) => sum + size, 0);
  const options = {
    begin: async () => {
      did.begun += 1;
      const trouble = beginTroubles.shift();
      if (trouble) throw trouble;
      return { offset: offset() };
    },
    send: async (from, piece) => {
      now += tookMs;
      did.pieces.push([from, piece.size]);
      const trouble = troubles.shift();
      if (trouble?.kept) arrived.push(piece.slice(0, trouble.kept));
      if (trouble?.answer) return trouble.answer;
      if (trouble) throw trouble.error ?? trouble;
      assert.equal(from, offset());
      arrived.push(piece);
      return { offset: offset(), sha256: offset() === file.size ? 'whole' : '' };
    },
    noteProgress: (bytes) => did.progress.push(bytes),
    pause: async (ms) => {
      did.pauses.push(ms);
      assert.ok(did.pauses.length < 100, 'it goes on for ever');
    },
    now: () => now,
  };
  const content = async () => Buffer.from(await new Blob(arrived).arrayBuffer());
  return { did, options, content };
}

function randomFile(size) {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
  return new Blob([bytes]);
}

async function assertWhole(file, content) {
  assert.ok(Buffer.from(await file.arrayBuffer()).equals(await content()));
}

group('an upload', () => {
  const file = randomFile(5 * MIB + 4);

  test('goes in pieces that grow while they are quick', async () => {
    const { did, options, content } = device(file);
    assert.equal(await upload(file, options), 'whole');
    assert.deepEqual(did.pieces, [
      [0, MIB],
      [MIB, 2 * MIB],
      [3 * MIB, 2 * MIB + 4],
    ]);
    assert.deepEqual(did.progress, [0, MIB, 3 * MIB]);
    await assertWhole(file, content);
  });

  test('sends smaller pieces over a slow line', async () => {
    const { did, options } = device(file, { tookMs: 11000 });
    await upload(file, options);
    assert.deepEqual(
      did.pieces.slice(0, 3).map(([, size]) => size),
      [MIB, MIB / 2, MIB / 4],
    );
  });

  test('goes on with what the device has kept after each break', async () => {
    const line = new ApiError('The device does not answer.');
    const troubles = [];
    for (let turn = 1; turn <= 10; turn += 1) troubles.push({ error: line, kept: turn * 1000 });
    const { did, options, content } = device(file, { troubles });
    assert.equal(await upload(file, options), 'whole');
    assert.equal(did.begun, 11);
    assert.equal(did.pieces[1][0], 1000);
    assert.ok(Math.max(...did.pauses) <= 1000, 'what goes on waits no longer each time');
    await assertWhole(file, content);
  });

  test('waits for a device that restarts, longer each time', async () => {
    const beginTroubles = [refusal(502), new ApiError('no network'), refusal(503), refusal(500), refusal(503)];
    const { did, options } = device(file, { beginTroubles });
    assert.equal(await upload(file, options), 'whole');
    assert.deepEqual(did.pauses, [500, 1000, 2000, 4000, 8000]);
  });

  test('asks where to go on if somebody else has sent a piece', async () => {
    const { did, options } = device(file, { troubles: [{ error: refusal(409), kept: 500 }] });
    assert.equal(await upload(file, options), 'whole');
    assert.equal(did.pieces[1][0], 500);
  });

  test('takes an answer without an offset for none', async () => {
    const { options, content } = device(file, { troubles: [{ answer: {} }] });
    assert.equal(await upload(file, options), 'whole');
    await assertWhole(file, content);
  });

  test('completes what had arrived before', async () => {
    const { did, options } = device(file, { troubles: [{ error: refusal(502), kept: 4 }] });
    const small = file.slice(0, 4);
    options.send = (
      (send) => async (from, piece) =>
        from === 4 ? { offset: 4, sha256: 'whole' } : send(from, piece)
    )(options.send);
    assert.equal(await upload(small, options), 'whole');
    assert.equal(did.begun, 2);
  });

  for (const status of [400, 401, 403, 409, 507]) {
    test(`that is refused with ${status} ends with the sentence`, async () => {
      const { options } = device(file, { beginTroubles: [refusal(status, 'Why.')] });
      await assert.rejects(upload(file, options), /Why\./);
    });
  }

  test('of a file that can not be read any more ends', async () => {
    const { options } = device(file, { troubles: [new ApiError('The device does not answer.')] });
    const gone = {
      size: file.size,
      slice: () => Object.assign(new Blob(['x']), { arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }),
    };
    await assert.rejects(upload(gone, options), /can no longer be read/);
  });

  test('lets mistakes of the page itself be seen', async () => {
    const { options } = device(file, { troubles: [new TypeError('of the page')] });
    await assert.rejects(upload(file, options), TypeError);
  });
});

group('a name', () => {
  for (const [given, taken] of [
    ['debian-13.1.0-amd64-netinst.iso', 'debian-13.1.0-amd64-netinst.iso'],
    ['.hidden.iso', 'hidden.iso'],
    ['C:\\a/b?.iso', 'C__a_b_.iso'],
    ['U\u0308berblick.img', 'Überblick.img'],
    ['日本語.iso', '日本語.iso'],
    ['a\u202egpj.iso ', 'a_gpj.iso'],
    ['_a. ', 'a'],
    ['x'.repeat(200), 'x'.repeat(60)],
    [`${'x'.repeat(200)}.iso.xz`, `${'x'.repeat(53)}.iso.xz`],
  ]) {
    test(`${JSON.stringify(given)} is ${JSON.stringify(taken)}`, () => {
      assert.equal(imageName(given), taken);
    });
  }
});
