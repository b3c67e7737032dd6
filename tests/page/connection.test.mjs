// SPDX-License-Identifier: MIT
// What brings the picture and what the page is told of it, over a session that is not there.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { settle } from './fake-page.mjs';
import { Clock, FakeScreen, FakeSession, FakeWebSocket } from './video-fakes.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { Connection } = await import(new URL('connection.js', BASE));
// It is loaded when it is needed; here that must not take time.
await import(new URL('socket-videos.js', BASE));

const OPTIONS = {
  sessionOptions: {},
  gatewayUrl: '/api/gateway',
  sourceUrl: '/api/source',
  signalUrl: '/api/signal',
  iceServersUrl: '/api/ice-servers',
  h264Url: 'wss://kvm/api/h264',
  mjpegUrl: 'wss://kvm/api/jpegs',
  newSession: (options) => new FakeSession(options),
};

let clock;
let asked = [];
let answer = null;

beforeEach(() => {
  clock = new Clock();
  asked = [];
  answer = async () => ({ ok: true, status: 200, json: async () => ({ ice_servers: [] }) });
  mock.method(globalThis, 'fetch', (url) => {
    asked.push(url);
    return answer(url);
  });
});

afterEach(() => clock.end());

const asksOf = (url) => asked.filter((each) => each === url).length;

function makeConnection(t, facts = {}, options = {}) {
  const screen = Object.assign(new FakeScreen(), { fresh: true, resumes: true }, facts);
  const canvas = { hidden: true, getContext: () => ({ drawImage() {} }) };
  const connection = new Connection(screen, { ...OPTIONS, h264Canvas: { ...canvas }, mjpegCanvas: canvas, ...options });
  const said = [];
  connection.addEventListener('change', ({ detail }) => said.push(detail));
  t.after(() => connection.stop());
  return { canvas, connection, screen, said };
}

async function linked(t, facts) {
  const made = makeConnection(t, facts);
  made.connection.start();
  await settle();
  const [session] = FakeSession.made;
  session.becomeReady();
  await clock.pass(2000);
  return { ...made, session };
}

test('a new page asks at once, however fast it was loaded', (t) => {
  answer = () => new Promise(() => {});
  const { connection, said } = makeConnection(t, { fresh: false });
  connection.start();
  connection.start();
  assert.deepEqual(asked, ['/api/gateway', '/api/ice-servers']);
  assert.equal(said.length, 1);
  assert.equal(said[0].state, 'connecting');
  assert.deepEqual(AbortSignal.timeout.mock.calls[0].arguments, [1500]);
});

test('a page without a session is told so', async (t) => {
  answer = async () => ({ ok: false, status: 401 });
  const { connection } = makeConnection(t);
  let told = 0;
  connection.addEventListener('lockedout', () => {
    told += 1;
  });
  connection.start();
  await settle();
  assert.equal(told, 1);
  assert.equal(FakeSession.made.length, 0);
});

group('a page that is left', () => {
  test('tells Janus, and asks for nothing more', async (t) => {
    const { connection, session, said } = await linked(t);
    connection.stop();
    assert.equal(session.did.at(-1), 'leave');
    const before = [asked.length, said.length];
    await clock.pass(10000);
    assert.deepEqual([asked.length, said.length], before);
    assert.equal(FakeSession.made.length, 1);
  });

  test('and shown again has its picture again', async (t) => {
    const { connection, screen, said } = await linked(t);
    connection.stop();
    await clock.pass(60000);
    // What was is no loss.
    screen.fresh = false;
    connection.start();
    assert.equal(said.at(-1).state, 'connecting');
    await settle();
    FakeSession.made[1].becomeReady();
    await settle();
    assert.equal(connection.peerConnection, FakeSession.made[1].peerConnection);
  });
});

group('the transport', () => {
  test('is WebRTC while its frames come', async (t) => {
    const { connection, screen, said } = await linked(t);
    assert.equal(connection.transport, 'webrtc');
    assert.equal(connection.shown, screen);
    assert.equal(said.at(-1).state, 'live');
    assert.equal(said.at(-1).transport, 'webrtc');
    assert.equal(said.at(-1).reason, null);
  });

  test('is MJPEG when they do not, and WebRTC is tried on', async (t) => {
    const { connection, screen, said, session } = await linked(t);
    screen.fresh = false;
    await clock.pass(3000);
    assert.equal(connection.transport, 'mjpeg');
    assert.notEqual(connection.shown, screen);
    assert.equal(said.at(-1).reason, 'no-frames');
    await clock.pass(2000);
    assert.equal(session.asked.at(-1), 'watch');
    screen.fresh = true;
    await clock.pass(2000);
    assert.equal(connection.transport, 'webrtc');
    assert.equal(said.at(-1).reason, null);
  });

  test('is MJPEG for want of a link, from which Janus is blamed only after a while', async (t) => {
    answer = async (url) => ({ ok: url !== '/api/gateway', status: url === '/api/gateway' ? 502 : 200 });
    const { connection, said } = makeConnection(t, { fresh: false });
    connection.start();
    await clock.pass(2800);
    assert.equal(connection.transport, 'mjpeg');
    assert.notEqual(said.at(-1).reason, 'no-gateway');
    await clock.pass(500);
    assert.equal(said.at(-1).reason, 'no-gateway');
  });

  test('is MJPEG in a browser without WebRTC, which has no session', async (t) => {
    const { connection, said } = makeConnection(t, { fresh: false }, { sessionOptions: null });
    connection.start();
    await clock.pass(1000);
    assert.equal(said.at(-1).reason, 'no-webrtc');
    assert.equal(FakeSession.made.length, 0);
    assert.equal(asksOf('/api/ice-servers'), 0);
  });

  test('pinned to MJPEG ends the session, and WebRTC needs a new one', async (t) => {
    const { connection, session, said } = await linked(t);
    connection.pin = 'mjpeg';
    assert.equal(connection.pin, 'mjpeg');
    assert.equal(session.did.at(-1), 'leave');
    await settle();
    assert.equal(connection.transport, 'mjpeg');
    assert.equal(said.at(-1).reason, 'pinned');
    await settle();
    assert.equal(FakeSession.made.length, 1);
    connection.pin = 'webrtc';
    await clock.pass(1000);
    assert.equal(FakeSession.made.length, 2);
  });

  test('pinned before the page starts is what it starts with', async (t) => {
    const { connection } = makeConnection(t);
    connection.pin = 'mjpeg';
    connection.start();
    await clock.pass(2000);
    assert.equal(FakeSession.made.length, 0);
    assert.equal(connection.transport, 'mjpeg');
  });

  test('is chosen as soon as a picture is there, and said', async (t) => {
    const { connection, screen, said } = await linked(t, { fresh: false });
    await clock.pass(3000);
    assert.equal(connection.transport, 'mjpeg');
    screen.fresh = true;
    await clock.pass(1600);
    const before = said.length;
    clock.now += 150;
    screen.dispatchEvent(new Event('picture'));
    assert.equal(connection.transport, 'webrtc');
    assert.equal(said.length, before + 1);
  });
});

group('frames that stop', () => {
  test('make the WebSocket prove itself', async (t) => {
    const { screen, session } = await linked(t);
    assert.ok(!session.did.includes('ping'));
    screen.fresh = false;
    await clock.pass(200);
    assert.ok(session.did.includes('ping'));
  });

  test('are not missed while the capture service has no signal', async (t) => {
    const off = { result: { source: { online: false, captured_fps: 0 } } };
    answer = async (url) => ({
      ok: true,
      status: 200,
      json: async () => (url === '/api/source' ? off : { ice_servers: [] }),
    });
    const { screen, session, said } = await linked(t, { fresh: false });
    await clock.pass(10000);
    assert.deepEqual(session.asked, ['open']);
    assert.equal(said.at(-1).state, 'no-signal');
    assert.equal(said.at(-1).transport, 'webrtc');
    assert.equal(screen.shown.length, 0);
  });

  test('are not missed while the browser waits for a click', async (t) => {
    const { session } = await linked(t, { fresh: false, isBlocked: true });
    await clock.pass(10000);
    assert.deepEqual(session.asked, ['open']);
  });

  test('make the page ask more often what the computer does', async (t) => {
    const { screen } = await linked(t);
    await clock.pass(4000);
    const steady = asksOf('/api/source');
    await clock.pass(4000);
    const slow = asksOf('/api/source') - steady;
    screen.fresh = false;
    await clock.pass(4000);
    assert.ok(asksOf('/api/source') - steady - slow > 2 * slow);
  });
});

group('the computer is asked about', () => {
  const asksIn = async (ms) => {
    const before = asksOf('/api/source');
    await clock.pass(ms);
    return asksOf('/api/source') - before;
  };

  test('often while a picture is new, and then each two seconds', async (t) => {
    const { screen } = await linked(t);
    screen.dispatchEvent(new Event('picture'));
    // Each third tick: the first that is half a second later.
    assert.equal(await asksIn(3000), 5);
    assert.equal(await asksIn(8000), 4);
  });

  for (const [framesPerSecond, asks] of [
    [1, 10],
    [2, 3],
  ]) {
    test(`as if the picture were new at ${framesPerSecond} frames a second: ${asks} times in 6 s`, async (t) => {
      await linked(t, { framesPerSecond });
      await clock.pass(4000);
      assert.equal(await asksIn(6000), asks);
    });
  }

  test('at once when the person looks again', async (t) => {
    const { connection, session } = await linked(t);
    await clock.pass(4200);
    connection.retryNow();
    assert.equal(await asksIn(200), 1);
    assert.equal(session.did.at(-1), 'ping');
  });

  test('and what it does is said as soon as that is known', async (t) => {
    const { connection, screen, said } = await linked(t);
    screen.fresh = false;
    screen.hadPicture = true;
    const off = { result: { source: { online: false, captured_fps: 0 } } };
    answer = async (url) => ({ ok: true, status: 200, json: async () => (url === '/api/source' ? off : {}) });
    await clock.pass(400);
    assert.equal(said.at(-1).title, 'Waiting for the picture');
    connection.retryNow();
    // It is believed when it has held for a while, and until then nothing else is said.
    while (said.at(-1).state === 'waiting') {
      clock.now += 200;
      mock.timers.tick(200);
      const told = said.at(-1).state;
      await settle();
      if (told === 'waiting' && said.at(-1).state === 'no-signal') return;
    }
    assert.fail('it was said a look later');
  });

  test('and what comes over the cable is told with the missing signal, and asked no longer than that', async (t) => {
    const { screen, said } = await linked(t, { fresh: false });
    const off = { result: { source: { online: false, captured_fps: 0 } } };
    const on = { result: { source: { online: true, captured_fps: 30 } } };
    const signal = { state: 'too_large', title: 'Mode not supported', words: 'The computer sends more.' };
    let source = off;
    answer = async (url) => ({
      ok: true,
      status: 200,
      json: async () => (url === '/api/source' ? source : url === '/api/signal' ? signal : { ice_servers: [] }),
    });
    await clock.pass(4000);
    // From the first moment on, so that nobody reads of a cable that is in.
    assert.deepEqual(
      new Set(said.filter(({ state }) => state === 'no-signal').map(({ title }) => title)),
      new Set([signal.title]),
    );
    source = on;
    screen.fresh = true;
    await clock.pass(2000);
    const asked = asksOf('/api/signal');
    assert.ok(asked > 0);
    await clock.pass(4000);
    assert.equal(asksOf('/api/signal'), asked);
    assert.equal(said.at(-1).state, 'live');
  });

  test('a picture that comes after that is live at once, and no words stay over it', async (t) => {
    const { screen, said } = await linked(t, { fresh: false });
    let source = { online: false, captured_fps: 0 };
    answer = async (url) => ({
      ok: true,
      status: 200,
      json: async () => (url === '/api/source' ? { result: { source } } : { ice_servers: [] }),
    });
    await clock.pass(4000);
    assert.equal(said.at(-1).state, 'no-signal');
    // Its frames are not counted yet.
    source = { online: true, captured_fps: 0 };
    screen.fresh = true;
    screen.dispatchEvent(new Event('picture'));
    await settle();
    assert.equal(said.at(-1).state, 'live');
  });

  test('what keeps being decoded is asked about often while it is said to be none', async (t) => {
    const { screen } = await linked(t, { fresh: false });
    const off = { result: { source: { online: false, captured_fps: 0 } } };
    answer = async (url) => ({ ok: true, status: 200, json: async () => (url === '/api/source' ? off : {}) });
    await clock.pass(4000);
    screen.fresh = true;
    await clock.pass(2000);
    const asked = asksOf('/api/source');
    await clock.pass(2000);
    assert.ok(asksOf('/api/source') - asked >= 3);
  });

  test('only while the device can be reached', async (t) => {
    answer = () => Promise.reject(new TypeError('no network'));
    const { connection } = makeConnection(t, { fresh: false });
    connection.start();
    assert.equal(await asksIn(5000), 0);
  });
});

group('MJPEG', () => {
  // Frames until a moment's run proves the picture.
  async function showFrames(socket) {
    socket.open();
    for (let frame = 0; frame < 4; frame += 1) {
      socket.hearFrame();
      await clock.pass(50);
    }
  }

  test('is opened when it is chosen, and not before the page starts', async (t) => {
    const { connection } = makeConnection(t, { fresh: false });
    connection.pin = 'mjpeg';
    await settle();
    assert.equal(FakeWebSocket.made.length, 0);
    connection.start();
    await clock.pass(200);
    assert.deepEqual(
      FakeWebSocket.made.map(({ url }) => url),
      ['wss://kvm/api/jpegs'],
    );
  });

  test('needs a device that answers, and not Janus', async (t) => {
    answer = async () => ({ ok: false, status: 502 });
    const { connection } = makeConnection(t, { fresh: false });
    connection.pin = 'mjpeg';
    connection.start();
    await clock.pass(200);
    assert.equal(FakeWebSocket.made.length, 1);
  });

  test('is not opened at a device that can not be reached, and at once when the person looks again', async (t) => {
    answer = () => Promise.reject(new TypeError('no network'));
    const { connection } = makeConnection(t, { fresh: false });
    connection.pin = 'mjpeg';
    connection.start();
    await clock.pass(5000);
    assert.equal(FakeWebSocket.made.length, 0);
    answer = async () => ({ ok: true, status: 200, json: async () => ({}) });
    connection.retryNow();
    await settle();
    assert.equal(FakeWebSocket.made.length, 1);
  });

  test('is not taken before a device is known to answer', async (t) => {
    answer = () => new Promise(() => {});
    const { connection } = makeConnection(t, { fresh: false });
    connection.start();
    await clock.pass(5000);
    assert.equal(connection.transport, 'webrtc');
    assert.equal(FakeSession.made.length, 0);
  });

  test('shows the picture, which is said at once, and stays behind WebRTC until that has one', async (t) => {
    const { canvas, connection, screen, said } = makeConnection(t, { fresh: false });
    connection.pin = 'mjpeg';
    connection.start();
    await clock.pass(200);
    const [socket] = FakeWebSocket.made;
    await showFrames(socket);
    assert.equal(said.at(-1).state, 'live');
    assert.deepEqual([canvas.hidden, canvas.width, canvas.height], [false, 1280, 720]);
    connection.pin = 'webrtc';
    assert.equal(socket.readyState, 3);
    await clock.pass(1000);
    assert.equal(canvas.hidden, false);
    screen.fresh = true;
    await clock.pass(200);
    assert.equal(canvas.hidden, true);
    assert.equal(said.at(-1).state, 'live');
  });

  test('is said to be live with its first picture, before anybody looks again', async (t) => {
    const { connection, said } = makeConnection(t, { fresh: false });
    connection.pin = 'mjpeg';
    connection.start();
    await clock.pass(200);
    const [socket] = FakeWebSocket.made;
    socket.open();
    for (let frame = 0; frame < 3; frame += 1) {
      clock.now += 60;
      socket.hearFrame();
      await settle();
    }
    assert.equal(said.at(-1).state, 'live');
  });

  test('counts as a way to the device', async (t) => {
    const { connection, said } = makeConnection(t, { fresh: false });
    connection.pin = 'mjpeg';
    connection.start();
    await clock.pass(200);
    await showFrames(FakeWebSocket.made[0]);
    assert.ok(asksOf('/api/source') > 0);
    await clock.pass(4000);
    // The page says that it has been here, and is waiting for the next frame.
    assert.equal(said.at(-1).state, 'waiting');
  });

  test('ends with the page', async (t) => {
    const { connection } = makeConnection(t, { fresh: false });
    connection.pin = 'mjpeg';
    connection.start();
    await clock.pass(200);
    const [socket] = FakeWebSocket.made;
    connection.stop();
    assert.equal(socket.readyState, 3);
    await clock.pass(5000);
    assert.equal(FakeWebSocket.made.length, 1);
  });
});

group('H.264 over a WebSocket', () => {
  // A decoder that shows each frame at once.
  class FakeWorker extends EventTarget {
    static made = [];
    said = [];

    constructor(url) {
      super();
      this.url = url;
      FakeWorker.made.push(this);
    }

    postMessage({ id, isKey, unit, drawn }) {
      if (drawn) return;
      this.said.push([isKey, ...unit]);
      this.answer({ id, frame: { displayWidth: 1920, displayHeight: 1080, close() {} } });
    }

    answer(data) {
      this.dispatchEvent(new MessageEvent('message', { data }));
    }

    terminate() {
      this.isEnded = true;
    }
  }

  beforeEach(() => {
    FakeWorker.made = [];
    globalThis.Worker = FakeWorker;
    globalThis.VideoDecoder = { isConfigSupported: async ({ codec }) => ({ supported: codec === 'avc1.42e01f' }) };
  });

  afterEach(() => {
    delete globalThis.VideoDecoder;
    delete globalThis.Worker;
  });

  const socketOf = (name) =>
    FakeWebSocket.made.findLast(({ url, readyState }) => url.endsWith(name) && readyState !== 3);

  async function showFrames(socket, count = 4) {
    socket.open();
    for (let frame = 0; frame < count; frame += 1) {
      const data = Uint8Array.of(0, 0, 0, 0, frame === 0 ? 1 : 0, 7, 8);
      socket.dispatchEvent(new MessageEvent('message', { data: data.buffer }));
      await clock.pass(50);
    }
  }

  test('is tried before WebRTC is given up, and shown as soon as it has a picture', async (t) => {
    const { connection, screen, said } = await linked(t);
    screen.fresh = false;
    await clock.pass(800);
    assert.equal(connection.transport, 'webrtc');
    const socket = socketOf('/api/h264');
    assert.ok(socket);
    await showFrames(socket);
    assert.deepEqual([said.at(-1).transport, said.at(-1).state], ['webcodecs', 'live']);
    assert.deepEqual([connection.shown.width, connection.shown.height], [1920, 1080]);
    assert.deepEqual(socket.sent, Array(4).fill('shown'));
    const [worker] = FakeWorker.made;
    assert.equal(worker.url, '/static/video/h264-worker.js');
    assert.deepEqual(worker.said.slice(0, 2), [
      [true, 7, 8],
      [false, 7, 8],
    ]);
    // And left when WebRTC is back.
    screen.fresh = true;
    await clock.pass(1800);
    assert.equal(connection.transport, 'webrtc');
    assert.equal(socket.readyState, 3);
    assert.equal(worker.isEnded, true);
    assert.equal(connection.shown, screen);
  });

  test('is what a browser without H.264 in its WebRTC begins with, and WebRTC when it has it', async (t) => {
    let codecs = [{ mimeType: 'video/VP8' }];
    globalThis.RTCRtpReceiver = { getCapabilities: (kind) => kind === 'video' && { codecs } };
    t.after(() => delete globalThis.RTCRtpReceiver);
    const { connection, screen, said } = makeConnection(t, { fresh: false });
    connection.start();
    await settle();
    assert.equal(FakeSession.made.length, 0);
    await clock.pass(200);
    await showFrames(socketOf('/api/h264'));
    assert.deepEqual([said.at(-1).transport, said.at(-1).reason], ['webcodecs', 'no-webrtc-h264']);
    codecs = [{ mimeType: 'video/H264' }];
    await clock.pass(1200);
    assert.equal(FakeSession.made.length, 1);
    FakeSession.made[0].becomeReady();
    screen.fresh = true;
    await clock.pass(1800);
    assert.equal(connection.transport, 'webrtc');
  });

  test('asks for a key frame when its decoder has lost the thread', async (t) => {
    const { connection } = makeConnection(t, { fresh: false });
    connection.pin = 'webcodecs';
    connection.start();
    await clock.pass(200);
    const socket = socketOf('/api/h264');
    await showFrames(socket, 1);
    FakeWorker.made[0].answer({ lost: true });
    assert.deepEqual(socket.sent, ['shown', 'key']);
    // What could not be decoded was underway, too.
    FakeWorker.made[0].postMessage = ({ id }) => FakeWorker.made[0].answer({ id, frame: null });
    await showFrames(socket, 1);
    assert.deepEqual(socket.sent, ['shown', 'key', 'shown']);
  });

  test('is left for JPEGs when it turns out that this browser can not', async (t) => {
    const { connection } = makeConnection(t, { fresh: false }, { sessionOptions: null });
    connection.start();
    await clock.pass(200);
    assert.equal(connection.transport, 'webcodecs');
    FakeWorker.made[0].answer({ unsupported: true });
    await settle();
    assert.equal(connection.transport, 'mjpeg');
    assert.ok(socketOf('/api/jpegs'));
    assert.equal(socketOf('/api/h264'), undefined);
  });

  for (const [what, fail] of [
    ['that could not be loaded', async () => FakeWorker.made[0].dispatchEvent(new Event('error'))],
    [
      'that hangs',
      async () => {
        FakeWorker.made[0].postMessage = () => {};
        const socket = socketOf('/api/h264');
        await showFrames(socket, 1);
        for (let second = 0; second < 6; second += 1) {
          // The device says that it lives.
          socket.dispatchEvent(new MessageEvent('message', { data: new ArrayBuffer(5) }));
          await clock.pass(1000);
        }
      },
    ],
  ]) {
    test(`gets another decoder in the place of one ${what}`, async (t) => {
      const { connection } = makeConnection(t, { fresh: false });
      connection.pin = 'webcodecs';
      connection.start();
      await clock.pass(200);
      await fail();
      await clock.pass(1000);
      assert.equal(FakeWorker.made.length, 2);
      assert.equal(FakeWorker.made[0].isEnded, true);
      await showFrames(socketOf('/api/h264'));
      assert.equal(connection.shown.isFresh(), true);
    });
  }

  test('gives way to JPEGs while it brings nothing, and comes back with its first picture', async (t) => {
    const { canvas, connection } = makeConnection(t, { fresh: false }, { sessionOptions: null });
    connection.start();
    await clock.pass(200);
    const h264 = socketOf('/api/h264');
    h264.open();
    await clock.pass(3200);
    assert.equal(connection.transport, 'mjpeg');
    const jpegs = socketOf('/api/jpegs');
    jpegs.open();
    for (let frame = 0; frame < 4; frame += 1) {
      jpegs.hearFrame();
      // The device says that it lives, which is no frame.
      h264.dispatchEvent(new MessageEvent('message', { data: new ArrayBuffer(5) }));
      await clock.pass(50);
    }
    assert.equal(canvas.hidden, false);
    assert.deepEqual(h264.sent, []);
    await showFrames(h264);
    assert.equal(connection.transport, 'webcodecs');
    await clock.pass(200);
    assert.equal(canvas.hidden, true);
    assert.equal(jpegs.readyState, 3);
  });

  test('is there before it is needed: a network that is lost does not matter then', async (t) => {
    const { screen } = await linked(t);
    screen.dispatchEvent(new Event('picture'));
    await clock.pass(4800);
    let asked = 0;
    globalThis.VideoDecoder.isConfigSupported = async () => {
      asked += 1;
      return { supported: true };
    };
    await clock.pass(400);
    assert.equal(asked, 1);
    await clock.pass(10000);
    assert.equal(asked, 1);
    assert.equal(FakeWebSocket.made.length, 0);
  });
});

group('frames without a capture service', () => {
  test('have to be a short run', async (t) => {
    let demands = null;
    const { screen } = await linked(t);
    screen.isFresh = (those) => {
      demands = those;
      return true;
    };
    await clock.pass(3000);
    assert.deepEqual(demands, {});
    answer = async (url) => ({ ok: url !== '/api/source', status: 502, json: async () => ({ ice_servers: [] }) });
    await clock.pass(8000);
    assert.equal(demands.run, 1500);
  });
});

group('a link that is lost', () => {
  test('is said at once, and so is its return', async (t) => {
    const { session, said } = await linked(t);
    const soFar = said.length;
    session.emit('lost');
    assert.equal(said.length, soFar + 1);
    await settle();
    const before = said.length;
    const asks = asksOf('/api/source');
    session.emit('claimed');
    await settle();
    assert.equal(said.length, before + 1);
    // The computer may be another one meanwhile.
    await clock.pass(200);
    assert.equal(asksOf('/api/source'), asks + 1);
  });

  test('is no reason to say that the device is unreachable, before it has been so for a while', async (t) => {
    const { screen, session, said } = await linked(t);
    answer = () => Promise.reject(new TypeError('no network'));
    screen.fresh = false;
    session.emit('lost');
    await clock.pass(1000);
    assert.notEqual(said.at(-1).state, 'unreachable');
    await clock.pass(5000);
    assert.equal(said.at(-1).state, 'unreachable');
  });
});

test('the statistics get what they ask for: decoded frames, and the clock', async (t) => {
  const { connection, screen, session } = await linked(t);
  const counted = [];
  screen.countDecoded = (peerConnection) => counted.push(peerConnection);
  await clock.pass(6000);
  assert.deepEqual(counted, Array(6).fill(session.peerConnection));
  let detail = null;
  connection.addEventListener('clock', (event) => {
    detail = event.detail;
  });
  connection.askClock();
  assert.equal(session.did.at(-1), 'askClock');
  session.emit('clock', { hz: 90000 });
  assert.deepEqual(detail, { hz: 90000 });
});
