// SPDX-License-Identifier: MIT
// What brings the picture and what the page is told of it, over a session that is not there.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { settle } from './fake-page.mjs';
import { Clock, FakeScreen, FakeSession, FakeWebSocket } from './video-fakes.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { Connection } = await import(new URL('connection.js', BASE));

const OPTIONS = {
  sessionOptions: {},
  gatewayUrl: '/api/gateway',
  sourceUrl: '/api/source',
  iceServersUrl: '/api/ice-servers',
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
