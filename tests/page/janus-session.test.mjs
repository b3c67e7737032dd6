// SPDX-License-Identifier: MIT
// One session with a Janus that is not there: what both plugins, this project's and uStreamer's own, make of a request.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { FakeWebSocket } from './video-fakes.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { JanusSession, prepareJanus } = await import(new URL('janus-session.js', BASE));

const OFFER = { type: 'offer', sdp: 'of the plugin' };
const ANSWER = { type: 'answer', sdp: 'of the page' };
const STARTED = { ustreamer: 'event', result: { status: 'started' } };
const NO_PICTURE_YET = { ustreamer: 'event', error_code: 503, error: 'Nothing to show yet' };

// As much of janus.js as the session uses. Its callbacks are called as janus.js does: an event whether it names a
// request or not, and `success` of send() when the request was taken.
class FakeJanus {
  static made = [];
  attached = [];
  destroyed = 0;
  infos = 0;

  static init(options) {
    FakeJanus.options = options;
  }

  constructor(callbacks) {
    this.callbacks = callbacks;
    this.openSocket();
    FakeJanus.made.push(this);
  }

  openSocket() {
    this.socket = FakeJanus.options.dependencies.newWebSocket('wss://kvm.example/janus/ws', 'janus-protocol');
  }

  reconnect(callbacks) {
    this.claim = callbacks;
    this.openSocket();
  }

  getInfo() {
    this.infos += 1;
  }

  attach(callbacks) {
    const handle = new FakeHandle();
    handle.oncleanup = callbacks.oncleanup;
    this.attached.push({ ...callbacks, handle });
    callbacks.success(handle);
  }

  destroy(options) {
    this.destroyed += 1;
    this.destroyOptions = options;
  }
}

class FakeHandle {
  sent = [];
  answered = [];
  webrtcStuff = { pc: { getReceivers: () => this.receivers } };
  receivers = [{ jitterBufferTarget: null }];

  send(request) {
    this.sent.push(request);
  }

  createAnswer({ success, error, ...what }) {
    this.answered.push(what);
    if (this.refusal) error(this.refusal);
    else success(ANSWER);
  }

  hangup(...how) {
    this.hungUp = how;
    this.oncleanup();
  }

  get requests() {
    return this.sent.map(({ message }) => message.request);
  }
}

// A session that is attached and has asked for the picture, and all that it said since.
function attachedSession() {
  const session = new JanusSession({ Janus: FakeJanus, url: 'wss://kvm.example/janus/ws', iceServers: [] });
  const said = [];
  for (const name of [
    'ready',
    'claimed',
    'track',
    'problem',
    'answered',
    'clock',
    'sound',
    'hungup',
    'lost',
    'refused',
    'ended',
  ]) {
    session.addEventListener(name, ({ detail }) => said.push([name, detail]));
  }
  session.open();
  const janus = FakeJanus.made.at(-1);
  FakeWebSocket.made.at(-1).open();
  janus.callbacks.success();
  const [{ handle, onmessage, onremotetrack, oncleanup }] = janus.attached;
  assert.deepEqual(said.splice(0), [['ready', {}]]);
  assert.deepEqual(handle.requests, ['watch']);
  return { session, said, janus, handle, onmessage, onremotetrack, oncleanup };
}

beforeEach(() => {
  mock.timers.enable();
  FakeWebSocket.made = [];
  prepareJanus({ Janus: FakeJanus, adapter: 'the adapter' });
});
afterEach(() => mock.timers.reset());

group('a plugin that has no picture yet (503)', () => {
  test('is asked again, on the same handle, until it offers one', () => {
    const { said, janus, handle, onmessage } = attachedSession();
    for (const times of [2, 3, 4]) {
      onmessage(NO_PICTURE_YET);
      mock.timers.tick(249);
      assert.equal(handle.requests.length, times - 1);
      mock.timers.tick(1);
      assert.deepEqual(handle.requests, Array(times).fill('watch'));
    }
    onmessage(STARTED, OFFER);
    mock.timers.tick(60000);
    assert.deepEqual(handle.requests, ['watch', 'watch', 'watch', 'watch', 'start']);
    assert.equal(janus.attached.length, 1);
    const problem = ['problem', { code: 503, text: 'Nothing to show yet' }];
    assert.deepEqual(said, [problem, problem, problem, ['answered', {}]]);
  });

  test('is asked no more by a page that was left', () => {
    const { session, said, janus, handle, onmessage } = attachedSession();
    onmessage(NO_PICTURE_YET);
    session.leave();
    mock.timers.tick(60000);
    onmessage(STARTED, OFFER);
    assert.deepEqual(handle.requests, ['watch', 'stop']);
    assert.equal(janus.destroyed, 1);
    assert.deepEqual(
      said.map(([name]) => name),
      ['problem', 'ended'],
    );
  });
});

group("uStreamer's own plugin", () => {
  test('since 6.18 sends the event before it says that the request was taken, and names no request in it', () => {
    const { said, handle, onmessage } = attachedSession();
    onmessage(STARTED, OFFER);
    handle.sent[0].success?.({ ok: true });
    assert.deepEqual(handle.requests, ['watch', 'start']);
    onmessage(STARTED); // to `start`
    handle.sent[1].success?.({ ok: true });
    mock.timers.tick(60000);
    assert.deepEqual(handle.requests, ['watch', 'start']);
    assert.equal(handle.sent[1].jsep, ANSWER);
    assert.deepEqual(
      handle.answered.map(({ jsep, tracks }) => ({ jsep, tracks })),
      [{ jsep: OFFER, tracks: [{ type: 'video', capture: false, recv: true }] }],
    );
    assert.equal(handle.receivers[0].jitterBufferTarget, 0);
    assert.deepEqual(said, [['answered', {}]]);
  });

  // What becomes of a connection without frames is recovery.js' business.
  test('leaves the beginning of the DTLS handshake to Janus', () => {
    const { handle, onmessage } = attachedSession();
    onmessage(STARTED, OFFER);
    const answer = { sdp: 'v=0\r\na=setup:active\r\nm=video\r\na=setup:active\r\na=x:a=setup:active\r\n' };
    handle.answered[0].customizeSdp(answer);
    assert.equal(answer.sdp, 'v=0\r\na=setup:passive\r\nm=video\r\na=setup:passive\r\na=x:a=setup:active\r\n');
  });

  test('makes an offer without a picture behind it: it is answered, and is neither a picture nor a problem', () => {
    const { session, said, janus, handle, onmessage, onremotetrack } = attachedSession();
    onmessage(STARTED, OFFER);
    mock.timers.tick(60000);
    assert.deepEqual(said, [['answered', {}]]);

    session.watch();
    onmessage(STARTED, OFFER);
    const track = { kind: 'video' };
    onremotetrack(track, 'v', true);
    onremotetrack(track, 'v', true); // janus.js tells each track twice: created, unmuted
    assert.deepEqual(handle.requests, ['watch', 'start', 'watch', 'start']);
    assert.equal(janus.attached.length, 1);
    assert.deepEqual(said, [
      ['answered', {}],
      ['answered', {}],
      ['track', { track }],
    ]);
  });

  for (const [version, message] of [
    ['since 6.18', { result: { status: 'features', features: { audio: false, mic: false, ice: { url: '' } } } }],
    ['before 5.32', { error_code: 405, error: 'Not implemented' }],
  ]) {
    test(`${version} does not tell its clock, which is no reason to watch anew`, () => {
      const { session, said, handle, onmessage } = attachedSession();
      session.askClock();
      onmessage({ ustreamer: 'event', ...message });
      session.askClock();
      mock.timers.tick(60000);
      assert.deepEqual(handle.requests, ['watch', 'features']);
      assert.deepEqual(said, []);
    });
  }
});

test("this project's plugin tells its clock, asked one question at a time", () => {
  const { session, said, handle, onmessage } = attachedSession();
  const features = { audio: false, mic: false, clock: { rtp_timestamp: 4294967295, hz: 90000 } };
  for (const times of [1, 2]) {
    session.askClock();
    session.askClock();
    assert.equal(handle.requests.filter((request) => request === 'features').length, times);
    onmessage({ ustreamer: 'event', result: { status: 'features', features } });
  }
  for (const [name, { askedAt, heardAt, ...clock }] of said) {
    assert.equal(name, 'clock');
    assert.ok(askedAt <= heardAt && heardAt <= performance.now());
    assert.deepEqual(clock, { rtpTimestamp: 4294967295, hz: 90000 });
  }
  assert.equal(said.length, 2);
});

group('sound', () => {
  const WITH_SOUND = { type: 'offer', sdp: 'v=0\r\nm=video 9\r\nm=audio 9\r\n' };

  test('is asked for, answered and told of', () => {
    const { session, said, handle, onmessage, onremotetrack } = attachedSession();
    onmessage(STARTED, OFFER);
    session.wantsSound = true;
    assert.deepEqual(handle.sent.at(-1).message, { request: 'watch', params: { audio: true } });
    onmessage(STARTED, WITH_SOUND);
    assert.deepEqual(
      handle.answered[1].tracks.map(({ type }) => type),
      ['video', 'audio'],
    );
    said.shift();
    const track = { kind: 'audio' };
    onremotetrack(track, 'a', true);
    onremotetrack(track, 'a', true);
    assert.deepEqual(said, [
      ['answered', {}],
      ['sound', { track }],
    ]);
    // It goes and comes with what is asked for.
    onremotetrack(track, 'a', false);
    onremotetrack(track, 'a', true);
    assert.deepEqual(said.at(-1), ['sound', { track }]);
    assert.equal(said.length, 3);
    // Browsers tell late, or not at all, that it went.
    session.wantsSound = false;
    session.wantsSound = true;
    onremotetrack(track, 'a', true);
    assert.equal(said.length, 4);
  });

  test('that the plugin has none of is no problem', () => {
    const { session, said, handle, onmessage } = attachedSession();
    onmessage(STARTED, OFFER);
    session.wantsSound = true;
    onmessage(STARTED, OFFER);
    assert.equal(handle.answered[1].tracks.length, 1);
    assert.deepEqual(said, [
      ['answered', {}],
      ['answered', {}],
    ]);
  });

  test('that is wanted while an offer is underway is asked for when that is answered', () => {
    const { session, handle, onmessage } = attachedSession();
    session.wantsSound = true;
    session.wantsSound = false;
    session.wantsSound = true;
    assert.deepEqual(handle.requests, ['watch']);
    onmessage(STARTED, OFFER);
    assert.deepEqual(handle.requests, ['watch', 'start', 'watch']);
    assert.deepEqual(handle.sent.at(-1).message.params, { audio: true });
    onmessage(STARTED, WITH_SOUND);
    assert.deepEqual(handle.requests, ['watch', 'start', 'watch', 'start']);
  });

  test('comes in stereo', () => {
    const { handle, onmessage } = attachedSession();
    onmessage(STARTED, WITH_SOUND);
    const answer = {
      sdp: 'm=video\r\na=fmtp:96 x=1\r\nm=audio\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n',
    };
    handle.answered[0].customizeSdp(answer);
    assert.match(answer.sdp, /^a=fmtp:111 stereo=1;minptime=10\r$/m);
    assert.match(answer.sdp, /^a=fmtp:96 x=1\r$/m);
  });
});

test('a track is told again after Janus hung up', () => {
  const { said, onremotetrack, oncleanup } = attachedSession();
  const track = { kind: 'video' };
  onremotetrack(track, 'v', true);
  oncleanup();
  onremotetrack(track, 'v', true);
  assert.deepEqual(said, [
    ['track', { track }],
    ['hungup', {}],
    ['track', { track }],
  ]);
});

group('janus.js', () => {
  test('gets what it needs, and nothing by HTTP', () => {
    const { debug, dependencies } = FakeJanus.options;
    assert.equal(debug, false);
    assert.equal(dependencies.webRTCAdapter, 'the adapter');
    assert.ok(dependencies.isArray([]));
    assert.throws(() => dependencies.httpAPICall(), { message: /WebSocket only/ });
  });

  test('is told where Janus is and by which servers, and to destroy nothing by itself', () => {
    const servers = [{ urls: ['stun:kvm.example'] }];
    const session = new JanusSession({ Janus: FakeJanus, url: 'wss://kvm.example/janus/ws', iceServers: servers });
    assert.deepEqual([session.isAttached, session.peerConnection], [false, null]);
    session.open();
    const { server, iceServers, keepAlivePeriod, destroyOnUnload } = FakeJanus.made.at(-1).callbacks;
    assert.deepEqual([server, iceServers], ['wss://kvm.example/janus/ws', servers]);
    assert.deepEqual([keepAlivePeriod, destroyOnUnload], [5000, false]);
  });
});

group('what Janus refuses', () => {
  for (const [what, refuse] of [
    ['a session', ({ janus }) => janus.callbacks.error('no')],
    ['a plugin', ({ janus }) => janus.attached[0].error('no')],
    ['a request', ({ handle }) => handle.sent[0].error('no')],
    [
      'a claim',
      ({ session, janus }) => {
        session.claim();
        FakeWebSocket.made.at(-1).open();
        janus.claim.error('no');
      },
    ],
    [
      'an answer',
      ({ handle, onmessage }) => {
        handle.refusal = new Error('no');
        onmessage(STARTED, OFFER);
      },
    ],
    [
      'an answer, in a word',
      ({ handle, onmessage }) => {
        handle.refusal = 'no';
        onmessage(STARTED, OFFER);
      },
    ],
  ]) {
    test(`is told: ${what}`, () => {
      const made = attachedSession();
      refuse(made);
      assert.deepEqual(made.said.at(-1), ['refused', { reason: 'no' }]);
    });
  }

  test('is nothing while no socket is open: that is lost, and no refusal', () => {
    const { said, janus } = attachedSession();
    FakeWebSocket.made.at(-1).readyState = 0;
    janus.callbacks.error('no');
    assert.deepEqual(said, []);
  });

  test('for a reason of its own is asked for again after a second, once', () => {
    const { said, handle, onmessage } = attachedSession();
    for (let each = 0; each < 3; each += 1) onmessage({ error_code: 500 });
    assert.deepEqual(said.at(-1), ['problem', { code: 500, text: '' }]);
    mock.timers.tick(999);
    assert.deepEqual(handle.requests, ['watch']);
    mock.timers.tick(60000);
    assert.deepEqual(handle.requests, ['watch', 'watch']);
  });
});

group('the socket', () => {
  test('that is lost is told, and nothing is asked for meanwhile', () => {
    const { said, handle, janus, onmessage } = attachedSession();
    onmessage(NO_PICTURE_YET);
    janus.socket.close();
    mock.timers.tick(60000);
    assert.deepEqual(said.at(-1), ['lost', { reason: 'closed' }]);
    assert.deepEqual(handle.requests, ['watch']);
  });

  test('is another one for a claim, and only that is watched', () => {
    const { session, said, janus } = attachedSession();
    const first = janus.socket;
    session.claim();
    assert.equal(first.readyState, 3);
    assert.deepEqual(said, [['lost', { reason: 'closed' }]]);
    janus.claim.success();
    assert.deepEqual(said.at(-1), ['claimed', {}]);
    assert.notEqual(janus.socket, first);
  });

  test('of each session is its own', () => {
    attachedSession();
    assert.throws(() => FakeJanus.options.dependencies.newWebSocket('wss://kvm.example/janus/ws'));
  });

  test('proves itself by any answer', () => {
    const { session, janus } = attachedSession();
    session.ping();
    assert.equal(janus.infos, 1);
    session.leave();
    session.ping();
    assert.equal(janus.infos, 1);
    new JanusSession({ Janus: FakeJanus }).ping();
  });
});

group('a session that is over', () => {
  test('was left: Janus is told, the media end, and nothing more is said', () => {
    const { session, said, janus, handle } = attachedSession();
    session.leave();
    assert.deepEqual(handle.requests, ['watch', 'stop']);
    assert.deepEqual(handle.hungUp, [false]);
    assert.deepEqual(janus.destroyOptions, { notifyDestroyed: false });
    assert.deepEqual(said, [['ended', {}]]);
    assert.deepEqual([session.isAttached, session.peerConnection], [false, null]);
    janus.socket.close();
    assert.equal(said.length, 1);
  });

  test('was given up: nothing is said to Janus, and the socket closes', () => {
    const { session, said, janus, handle, onmessage } = attachedSession();
    onmessage(NO_PICTURE_YET);
    session.abandon();
    assert.deepEqual(handle.hungUp, [false]);
    assert.equal(janus.socket.readyState, 3);
    assert.equal(janus.destroyed, 0);
    session.watch();
    session.askClock();
    mock.timers.tick(60000);
    assert.deepEqual(handle.requests, ['watch']);
    assert.deepEqual(said.slice(1), [['ended', {}]]);
  });

  test('attaches to nothing when Janus answers late', () => {
    const session = new JanusSession({ Janus: FakeJanus });
    session.open();
    session.leave();
    const janus = FakeJanus.made.at(-1);
    janus.callbacks.success();
    assert.deepEqual(janus.attached, []);
  });
});

test('nothing is asked of Janus before it has answered', () => {
  const session = new JanusSession({ Janus: FakeJanus });
  session.open();
  session.watch();
  session.askClock();
  const janus = FakeJanus.made.at(-1);
  FakeWebSocket.made.at(-1).open();
  janus.callbacks.success();
  assert.deepEqual(janus.attached[0].handle.requests, ['watch']);
});

test('a picture that is asked for at once is not asked for again', () => {
  const { session, handle, onmessage } = attachedSession();
  onmessage(NO_PICTURE_YET);
  session.watch();
  mock.timers.tick(60000);
  assert.deepEqual(handle.requests, ['watch', 'watch']);
});

test('browsers that know another name for it, or none, wait for no smoother frame either', () => {
  const { handle, onmessage } = attachedSession();
  handle.receivers = [{ playoutDelayHint: null }, {}];
  onmessage(STARTED, OFFER);
  assert.deepEqual(handle.receivers, [{ playoutDelayHint: 0 }, {}]);
  handle.webrtcStuff = { pc: null };
  onmessage(STARTED, OFFER);
  assert.equal(handle.requests.at(-1), 'start');
});
