// SPDX-License-Identifier: MIT
// How a Janus session is kept: over a session that is not there, and at the end over a janus.js that is not there.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { settle } from './fake-page.mjs';
import { Clock, FakeScreen, FakeSession } from './video-fakes.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { JanusLink } = await import(new URL('janus-link.js', BASE));
const { prepareJanus } = await import(new URL('janus-session.js', BASE));

const SERVERS = [{ urls: ['stun:kvm.example'] }];

let clock;
let asks = 0;
let gatewayAnswers = null;

beforeEach(() => {
  clock = new Clock();
  asks = 0;
  gatewayAnswers = async () => true;
  mock.method(globalThis, 'fetch', async () => ({ ok: true, json: async () => ({ ice_servers: SERVERS }) }));
});

afterEach(() => clock.end());

function makeLink(t, facts = {}, options = {}) {
  const screen = Object.assign(new FakeScreen(), { resumes: true }, facts);
  const link = new JanusLink(screen, {
    sessionOptions: { url: 'wss://kvm/janus/ws' },
    iceServersUrl: '/api/ice-servers',
    gatewayAnswers: () => {
      asks += 1;
      return gatewayAnswers();
    },
    newSession: (sessionOptions) => new FakeSession(sessionOptions),
    ...options,
  });
  const heard = [];
  for (const type of ['linked', 'lost', 'clock']) link.addEventListener(type, () => heard.push(type));
  t.after(() => link.stop());
  return { link, screen, heard };
}

async function linked(t, facts) {
  const made = makeLink(t, facts);
  made.link.start();
  await settle();
  const [session] = FakeSession.made;
  session.becomeReady();
  await clock.pass(2000);
  return { ...made, session };
}

test('sound is asked for in the connection that there is, and in each that follows', async (t) => {
  const { link, heard, session } = await linked(t);
  link.wantsSound = true;
  assert.equal(session.wantsSound, true);
  link.addEventListener('sound', ({ detail }) => heard.push(detail.track));
  session.emit('sound', { track: 'the track' });
  assert.equal(heard.at(-1), 'the track');
  session.emit('refused', { reason: 'gone' });
  await clock.pass(5000);
  assert.ok(FakeSession.made.length > 1);
  assert.equal(FakeSession.made.at(-1).wantsSound, true);
});

// Frames that come or not, as long as a test says, looked at as often as the page does.
async function heal(link, ms, facts) {
  for (let passed = 0; passed < ms; passed += 200) {
    await clock.pass(200);
    link.heal(clock.now, { expecting: true, ...facts });
  }
}

group('a link', () => {
  test('begins at once with the servers that the page came with, and asks afterwards', async (t) => {
    const known = [{ urls: ['stun:of-the-page.example'] }];
    gatewayAnswers = async () => false;
    const { link } = makeLink(t, {}, { iceServers: known });
    link.start();
    await settle();
    const [session] = FakeSession.made;
    assert.deepEqual(session.options.iceServers, known);
    // Whether the device answers is asked all the same: the page says so if not.
    assert.equal(asks, 1);
    // The next try has to be worthwhile again.
    session.emit('lost');
    await clock.pass(2000);
    assert.equal(FakeSession.made.length, 1);
    gatewayAnswers = async () => true;
    await clock.pass(2000);
    assert.deepEqual(FakeSession.made[1].options.iceServers, SERVERS);
  });

  test('begins at once also where the page says that there are no servers', async (t) => {
    gatewayAnswers = async () => false;
    makeLink(t, {}, { iceServers: [] }).link.start();
    await settle();
    assert.equal(FakeSession.made.length, 1);
  });

  test('is a session with the servers of now, once the gateway answers', async (t) => {
    const { link, heard } = makeLink(t);
    assert.equal(link.isUp, false);
    assert.equal(link.peerConnection, null);
    link.start();
    await settle();
    const [session] = FakeSession.made;
    assert.deepEqual(session.options, { url: 'wss://kvm/janus/ws', iceServers: SERVERS });
    assert.equal(link.isUp, false);
    session.becomeReady();
    await settle();
    assert.equal(link.isUp, true);
    assert.equal(link.peerConnection, session.peerConnection);
    assert.deepEqual(heard, ['linked']);
    await clock.pass(5000);
    assert.equal(asks, 1);
  });

  test('that is being made is made once', async (t) => {
    const { link } = makeLink(t);
    link.start();
    link.start();
    await settle();
    assert.equal(FakeSession.made.length, 1);
  });

  test('passes on what the session has: its track, its clock', async (t) => {
    const { link, screen, session, heard } = await linked(t);
    session.emit('track', { track: 'the track' });
    assert.deepEqual(screen.shown, ['the track']);
    link.askClock();
    assert.equal(session.did.at(-1), 'askClock');
    session.emit('clock');
    assert.equal(heard.at(-1), 'clock');
  });

  test('asks for the picture again when Janus hangs up', async (t) => {
    const { session } = await linked(t);
    session.emit('hungup');
    assert.deepEqual(session.did, ['open', 'watch']);
  });

  test('that is refused is tried anew, after a pause', async (t) => {
    const { link } = makeLink(t);
    link.start();
    await settle();
    FakeSession.made[0].emit('refused', { reason: 'too many sessions' });
    await settle();
    assert.deepEqual(link.problem, { text: 'too many sessions' });
    assert.deepEqual(FakeSession.made[0].did, ['open', 'abandon']);
    assert.equal(FakeSession.made.length, 1);
    await clock.pass(200);
    assert.equal(FakeSession.made.length, 2);
  });

  test('that Janus refuses while it is up is made anew', async (t) => {
    const { link, session, heard } = await linked(t, { resumes: false });
    session.emit('refused', { reason: 'no such handle' });
    await settle();
    assert.equal(session.did.at(-1), 'abandon');
    assert.deepEqual(link.problem, { text: 'no such handle' });
    assert.deepEqual(heard, ['linked', 'lost']);
    assert.equal(FakeSession.made.length, 2);
  });
});

group('a WebSocket that is lost', () => {
  for (const claims of [true, false]) {
    test(`costs ${claims ? 'no' : 'the'} session whose picture ${claims ? 'may resume' : 'is gone'}`, async (t) => {
      const { screen, session } = await linked(t);
      screen.resumes = claims;
      session.emit('lost');
      await settle();
      assert.equal(session.did.includes('claim'), claims);
      assert.equal(session.did.includes('abandon'), !claims);
      assert.equal(FakeSession.made.length, claims ? 1 : 2);
    });
  }

  test('costs a session that was never attached', async (t) => {
    const { link } = makeLink(t);
    link.start();
    await settle();
    FakeSession.made[0].emit('lost');
    await clock.pass(200);
    assert.deepEqual(FakeSession.made[0].did, ['open', 'abandon']);
    assert.equal(FakeSession.made.length, 2);
  });

  test('is known, and since when', async (t) => {
    const { link, session, heard } = await linked(t);
    gatewayAnswers = async () => false;
    session.emit('lost');
    const at = clock.now;
    await clock.pass(1000);
    assert.equal(link.isUp, false);
    assert.equal(link.lostAt, at);
    assert.deepEqual(heard, ['linked', 'lost']);
  });

  test('is linked again by the claim', async (t) => {
    const { link, session, heard } = await linked(t);
    session.emit('lost');
    await settle();
    session.emit('claimed');
    await settle();
    assert.equal(link.isUp, true);
    assert.deepEqual(heard, ['linked', 'lost', 'linked']);
    assert.deepEqual(session.did, ['open', 'claim']);
  });

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
    gatewayAnswers = async () => false;
    session.emit('lost');
    await clock.pass(3000);
    assert.deepEqual(session.did, ['open']);
    const before = asks;
    gatewayAnswers = async () => true;
    await clock.pass(1300);
    assert.ok(asks > before);
    assert.ok(session.did.includes('claim'));
  });

  test('is given no pause by what was long ago: a second', async (t) => {
    for (const [held, pauses] of [
      [950, true],
      [1000, false],
    ]) {
      FakeSession.made = [];
      const { link } = makeLink(t);
      link.start();
      await settle();
      const [session] = FakeSession.made;
      session.becomeReady();
      await settle();
      await clock.pass(held);
      session.emit('lost');
      await settle();
      assert.equal(session.did.includes('claim'), !pauses);
    }
  });

  test('that comes back is without the problem of before', async (t) => {
    const { link, session } = await linked(t);
    session.emit('problem', { code: 500, text: 'of before' });
    session.emit('lost');
    await settle();
    session.emit('claimed');
    await settle();
    assert.equal(link.problem, null);
  });

  test('whose session is dropped keeps the last picture', async (t) => {
    const { screen, session } = await linked(t, { resumes: false });
    const { kept } = screen;
    session.emit('lost');
    await settle();
    assert.equal(screen.kept, kept + 1);
  });

  test('so soon after the last one is given a pause', async (t) => {
    const { link } = makeLink(t);
    link.start();
    await settle();
    const [session] = FakeSession.made;
    session.becomeReady();
    await settle();
    session.emit('lost');
    await settle();
    assert.deepEqual(session.did, ['open']);
    await clock.pass(250);
    assert.deepEqual(session.did, ['open', 'claim']);
  });
});

group('frames that stop while the WebSocket holds', () => {
  test('are asked for again, and then by a new session', async (t) => {
    const { link, session } = await linked(t);
    await heal(link, 4400, { fresh: false });
    assert.deepEqual(session.asked, ['open', 'watch']);
    // What the plugin remembers comes for a moment.
    await heal(link, 1400, { fresh: true });
    await heal(link, 4400, { fresh: false });
    assert.deepEqual(session.asked, ['open', 'watch', 'abandon']);
    assert.equal(FakeSession.made.length, 2);
  });

  test('are not asked for on a connection that is gone', async (t) => {
    const { link, session } = await linked(t, { resumes: false });
    session.peerConnection = { connectionState: 'failed' };
    assert.equal(link.isMediaUp, false);
    await heal(link, 4400, { fresh: false });
    assert.deepEqual(session.asked, ['open', 'abandon']);
  });

  test('are not missed while nobody expects them, or the plugin says why', async (t) => {
    const { link, session } = await linked(t);
    await heal(link, 10000, { fresh: false, expecting: false });
    assert.deepEqual(session.asked, ['open']);
    const problem = { code: 503, text: 'no picture yet' };
    session.emit('problem', problem);
    assert.equal(link.problem, problem);
    await heal(link, 10000, { fresh: false });
    assert.deepEqual(session.asked, ['open']);
    session.emit('answered');
    assert.equal(link.problem, null);
    await heal(link, 4400, { fresh: false });
    assert.deepEqual(session.asked, ['open', 'watch']);
  });

  test('are no business of a link that is down', async (t) => {
    const { link, session } = await linked(t);
    gatewayAnswers = async () => false;
    session.emit('lost');
    await heal(link, 10000, { fresh: false });
    assert.deepEqual(session.did, ['open']);
  });
});

group('a picture that comes', () => {
  test('ends what the plugin said, and the long pauses', async (t) => {
    const { link, screen, session } = await linked(t);
    gatewayAnswers = async () => false;
    session.emit('problem', { code: 503, text: 'no picture yet' });
    session.emit('lost');
    await clock.pass(5000);
    screen.dispatchEvent(new Event('picture'));
    assert.equal(link.problem, null);
    await clock.pass(1000);
    const before = asks;
    await clock.pass(200);
    assert.ok(asks > before);
  });
});

group('a person who can wait no longer', () => {
  test('has the WebSocket prove itself', async (t) => {
    const { link, session } = await linked(t);
    link.retryNow();
    assert.deepEqual(session.did, ['open', 'ping']);
  });

  test('ends the pause', async (t) => {
    const { link, session } = await linked(t);
    gatewayAnswers = async () => false;
    session.emit('lost');
    await clock.pass(5000);
    gatewayAnswers = async () => true;
    const before = asks;
    link.retryNow();
    await settle();
    assert.equal(asks, before + 1);
    assert.deepEqual(session.did, ['open', 'claim']);
  });

  test('is followed by short pauses again', async (t) => {
    const { link, session } = await linked(t);
    gatewayAnswers = async () => false;
    session.emit('lost');
    await clock.pass(10000);
    link.retryNow();
    await settle();
    const before = asks;
    await clock.pass(150);
    assert.equal(asks, before + 1);
  });
});

group('a link that is stopped', () => {
  test('tells Janus, keeps the last picture, and asks for nothing more', async (t) => {
    const { link, screen, session } = await linked(t);
    const { kept } = screen;
    link.stop();
    assert.equal(session.did.at(-1), 'leave');
    assert.equal(screen.kept, kept + 1);
    assert.equal(link.isUp, false);
    assert.equal(link.peerConnection, null);
    const before = asks;
    session.emit('lost');
    await clock.pass(10000);
    assert.equal(asks, before);
    assert.equal(FakeSession.made.length, 1);
  });

  for (const [when, answer] of [
    ['while the gateway is asked', new Promise(() => {})],
    ['in a pause', false],
  ]) {
    test(`${when} makes no session`, async (t) => {
      gatewayAnswers = async () => answer;
      const { link } = makeLink(t);
      link.start();
      await settle();
      link.stop();
      await clock.pass(5000);
      assert.equal(asks, 1);
      assert.equal(FakeSession.made.length, 0);
    });
  }

  test('while a session is opened makes no second one', async (t) => {
    const { link } = makeLink(t);
    link.start();
    await settle();
    const [session] = FakeSession.made;
    link.stop();
    session.emit('ended');
    await clock.pass(5000);
    assert.deepEqual(session.did, ['open', 'leave']);
    assert.equal(FakeSession.made.length, 1);
  });

  test('in a pause can be started again at once', async (t) => {
    gatewayAnswers = async () => false;
    const { link } = makeLink(t);
    link.start();
    await clock.pass(5000);
    gatewayAnswers = async () => true;
    link.stop();
    await settle();
    link.start();
    await settle();
    assert.equal(FakeSession.made.length, 1);
  });

  test('can be started again', async (t) => {
    const { link, session } = await linked(t);
    link.stop();
    link.start();
    await settle();
    assert.equal(FakeSession.made.length, 2);
    assert.notEqual(FakeSession.made[1], session);
  });
});

class FakeSocket extends EventTarget {
  readyState = 1;
  close() {}
}

// As much of janus.js as a link uses; it writes down what it is asked for.
class FakeJanus {
  static init({ dependencies }) {
    FakeJanus.dependencies = dependencies;
  }

  constructor({ success }) {
    FakeJanus.asked.push('new session');
    this.#openSocket();
    queueMicrotask(success);
  }

  attach({ success }) {
    success({ send() {}, hangup() {}, webrtcStuff: { pc: null } });
  }

  reconnect({ success }) {
    FakeJanus.asked.push('claim');
    this.#openSocket();
    queueMicrotask(success);
  }

  destroy() {}

  #openSocket() {
    FakeJanus.socket = FakeJanus.dependencies.newWebSocket('wss://kvm.example/janus/ws', 'janus-protocol');
  }
}

for (const { picture, resumes, asked } of [
  { picture: 'may come back with the next key frame', resumes: true, asked: ['new session', 'claim'] },
  { picture: 'is gone', resumes: false, asked: ['new session', 'new session'] },
]) {
  test(`janus.js is asked for the right thing when a WebSocket is lost while the picture ${picture}`, async (t) => {
    globalThis.WebSocket = Object.assign(FakeSocket, { OPEN: 1, CLOSED: 3 });
    FakeJanus.asked = [];
    prepareJanus({ Janus: FakeJanus, adapter: {} });
    const link = new JanusLink(Object.assign(new FakeScreen(), { resumes }), {
      sessionOptions: { Janus: FakeJanus, url: 'wss://kvm.example/janus/ws' },
      iceServersUrl: '/api/ice-servers',
      gatewayAnswers: async () => true,
    });
    t.after(() => link.stop());
    link.start();
    await clock.pass(2000);
    assert.deepEqual(FakeJanus.asked, ['new session']);
    FakeJanus.socket.close();
    await clock.pass(100);
    assert.deepEqual(FakeJanus.asked, asked);
  });
}
