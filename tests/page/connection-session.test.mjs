// SPDX-License-Identifier: MIT
// The remote screen's connection, over a session that is not there.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { Connection } = await import(new URL('connection.js', BASE));

// Of the JPEGs: never opens.
globalThis.WebSocket = class extends EventTarget {
  static OPEN = 1;
  readyState = 0;
  close() {}
};
// Which node has only in newer versions.
globalThis.navigator ??= { onLine: true };

// A video whose frames are fresh or not, as a test says.
class FakeScreen extends EventTarget {
  fresh = false;
  resumes = false;
  framesPerSecond = 30;
  hadPicture = false;
  isBlocked = false;
  isFresh = () => this.fresh;
  mayResume = () => this.resumes;
  keepLastPicture() {}
  countDecoded() {}
  show() {}
}

class FakeSession extends EventTarget {
  static made = [];
  did = [];
  isAttached = false;
  peerConnection = { connectionState: 'connected' };

  constructor() {
    super();
    FakeSession.made.push(this);
  }

  open() {
    this.did.push('open');
  }

  claim() {
    this.did.push('claim');
  }

  watch() {
    this.did.push('watch');
  }

  ping() {
    this.did.push('ping');
  }

  leave() {
    this.did.push('leave');
  }

  abandon() {
    this.did.push('abandon');
  }

  emit(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const OPTIONS = {
  sessionOptions: {},
  gatewayUrl: '/api/gateway',
  sourceUrl: '/api/source',
  iceServersUrl: '/api/ice-servers',
  mjpegUrl: 'wss://kvm/api/jpegs',
  mjpegCanvas: {},
  newSession: () => new FakeSession(),
};

let now = 0;
let asked = [];
let answer = null;

beforeEach(() => {
  now = 100; // since the page was opened
  asked = [];
  answer = () => Promise.resolve({ ok: true, status: 200, json: async () => ({ ice_servers: [] }) });
  FakeSession.made = [];
  mock.timers.enable();
  mock.method(performance, 'now', () => now);
  mock.method(AbortSignal, 'timeout', () => undefined);
  mock.method(globalThis, 'fetch', (url) => {
    asked.push(url);
    return answer(url);
  });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

// Promises come to rest, which needs some rounds.
const settle = async () => {
  for (let round = 0; round < 20; round += 1) await Promise.resolve();
};

const pass = async (ms) => {
  for (let passed = 0; passed < ms; passed += 50) {
    now += 50;
    mock.timers.tick(50);
    await settle();
  }
};

async function linked(t, facts = {}) {
  const screen = Object.assign(new FakeScreen(), { fresh: true, resumes: true }, facts);
  const connection = new Connection(screen, OPTIONS);
  t.after(() => connection.stop());
  connection.start();
  await settle();
  const [session] = FakeSession.made;
  session.isAttached = true;
  session.emit('ready');
  await pass(2000);
  return { connection, screen, session };
}

group('a WebSocket that is lost', () => {
  for (const claims of [true, false]) {
    test(`costs ${claims ? 'no' : 'the'} session whose picture ${claims ? 'may resume' : 'is gone'}`, async (t) => {
      const { screen, session } = await linked(t);
      Object.assign(screen, { fresh: false, resumes: claims });
      session.emit('lost');
      await settle();
      assert.equal(session.did.includes('claim'), claims);
      assert.equal(session.did.includes('abandon'), !claims);
      assert.equal(FakeSession.made.length, claims ? 1 : 2);
    });
  }

  test('is followed by a new session when the claim is refused', async (t) => {
    const { session } = await linked(t);
    session.emit('lost');
    await settle();
    session.emit('refused', { reason: 'no such session' });
    await settle();
    assert.deepEqual(session.did, ['open', 'claim', 'abandon']);
    assert.deepEqual(FakeSession.made[1].did, ['open']);
  });

  test('is not tried anew before the gateway answers', async (t) => {
    const { session } = await linked(t);
    answer = () => Promise.reject(new TypeError('no network'));
    session.emit('lost');
    await pass(3000);
    assert.deepEqual(session.did, ['open']);
    const asks = asked.length;
    answer = () => Promise.resolve({ ok: true, status: 200, json: async () => ({}) });
    await pass(1300);
    assert.ok(asked.length > asks);
    assert.ok(session.did.includes('claim'));
  });

  test('so soon after the last one is given a pause', async (t) => {
    const connection = new Connection(Object.assign(new FakeScreen(), { fresh: true, resumes: true }), OPTIONS);
    t.after(() => connection.stop());
    connection.start();
    await settle();
    const [session] = FakeSession.made;
    session.isAttached = true;
    session.emit('ready');
    await settle();
    session.emit('lost');
    await settle();
    assert.deepEqual(session.did, ['open']);
    await pass(250);
    assert.deepEqual(session.did, ['open', 'claim']);
  });
});

group('frames that stop while the WebSocket holds', () => {
  test('are asked for again, and then by a new session', async (t) => {
    const { screen, session } = await linked(t);
    screen.fresh = false;
    await pass(4400);
    assert.deepEqual(session.did.filter((each) => each !== 'ping'), ['open', 'watch']);
    // What the plugin remembers comes for a moment.
    screen.fresh = true;
    await pass(1500);
    screen.fresh = false;
    await pass(4400);
    assert.equal(session.did.at(-1), 'abandon');
    assert.equal(session.did.filter((each) => each === 'watch').length, 1);
    assert.equal(FakeSession.made.length, 2);
  });

  test('make the WebSocket prove itself', async (t) => {
    const { screen, session } = await linked(t);
    assert.ok(!session.did.includes('ping'));
    screen.fresh = false;
    await pass(200);
    assert.ok(session.did.includes('ping'));
  });
});

group('a page that is left', () => {
  test('tells Janus, and asks for nothing more', async (t) => {
    const { connection, session } = await linked(t);
    connection.stop();
    assert.equal(session.did.at(-1), 'leave');
    const asks = asked.length;
    await pass(10000);
    assert.equal(asked.length, asks);
    assert.equal(FakeSession.made.length, 1);
  });
});

test('a page without a session is told so', async (t) => {
  answer = () => Promise.resolve({ ok: false, status: 401 });
  const connection = new Connection(new FakeScreen(), OPTIONS);
  t.after(() => connection.stop());
  let told = 0;
  connection.addEventListener('lockedout', () => {
    told += 1;
  });
  connection.start();
  await settle();
  assert.equal(told, 1);
  assert.equal(FakeSession.made.length, 0);
});

test('a pin to MJPEG ends the session, and WebRTC needs a new one', async (t) => {
  const { connection, session } = await linked(t);
  connection.pin = 'mjpeg';
  assert.equal(session.did.at(-1), 'leave');
  assert.equal(connection.transport, 'mjpeg');
  await settle();
  assert.equal(FakeSession.made.length, 1);
  connection.pin = 'webrtc';
  await pass(1000);
  assert.equal(FakeSession.made.length, 2);
});
