// SPDX-License-Identifier: MIT
// What brings the picture and what the page is told of it, over a session that is not there.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { settle } from './fake-page.mjs';
import { Clock, FakeScreen, FakeSession } from './video-fakes.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { Connection } = await import(new URL('connection.js', BASE));

const OPTIONS = {
  sessionOptions: {},
  gatewayUrl: '/api/gateway',
  sourceUrl: '/api/source',
  iceServersUrl: '/api/ice-servers',
  mjpegUrl: 'wss://kvm/api/jpegs',
  mjpegCanvas: {},
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
  const connection = new Connection(screen, { ...OPTIONS, ...options });
  const said = [];
  connection.addEventListener('change', ({ detail }) => said.push(detail));
  t.after(() => connection.stop());
  return { connection, screen, said };
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
  const { connection } = makeConnection(t, { fresh: false });
  connection.start();
  connection.start();
  assert.deepEqual(asked, ['/api/gateway', '/api/ice-servers']);
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
    const { connection, session } = await linked(t);
    connection.stop();
    assert.equal(session.did.at(-1), 'leave');
    const asks = asked.length;
    await clock.pass(10000);
    assert.equal(asked.length, asks);
    assert.equal(FakeSession.made.length, 1);
  });

  test('and shown again has its picture again', async (t) => {
    const { connection, said } = await linked(t);
    connection.stop();
    await clock.pass(60000);
    connection.start();
    // What was is no loss.
    assert.equal(said.at(-1).state, 'live');
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
    assert.ok(demands.run > 0);
  });
});

group('a link that is lost', () => {
  test('is said at once, and so is its return', async (t) => {
    const { session, said } = await linked(t);
    session.emit('lost');
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
  await clock.pass(3000);
  assert.deepEqual(counted, [session.peerConnection, session.peerConnection, session.peerConnection]);
  let detail = null;
  connection.addEventListener('clock', (event) => {
    detail = event.detail;
  });
  connection.askClock();
  assert.equal(session.did.at(-1), 'askClock');
  session.emit('clock', { hz: 90000 });
  assert.deepEqual(detail, { hz: 90000 });
});
