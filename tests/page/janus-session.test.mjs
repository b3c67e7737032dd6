// SPDX-License-Identifier: MIT
// One session with a Janus that is not there: what both plugins, this project's and uStreamer's own, make of a request.
import assert from 'node:assert/strict';
import { beforeEach, afterEach, describe as group, mock, test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { JanusSession } = await import(new URL('janus-session.js', BASE));

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

  constructor(callbacks) {
    this.callbacks = callbacks;
    FakeJanus.made.push(this);
  }

  attach(callbacks) {
    const handle = new FakeHandle();
    this.attached.push({ ...callbacks, handle });
    callbacks.success(handle);
  }

  destroy() {
    this.destroyed += 1;
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

  createAnswer({ success, ...what }) {
    this.answered.push(what);
    success(ANSWER);
  }

  hangup() {}

  get requests() {
    return this.sent.map(({ message }) => message.request);
  }
}

// A session that is attached and has asked for the picture, and all that it said since.
function attachedSession() {
  const session = new JanusSession({ Janus: FakeJanus, url: 'wss://kvm.example/janus/ws', iceServers: [] });
  const said = [];
  for (const name of ['ready', 'track', 'problem', 'answered', 'clock', 'hungup', 'refused', 'ended']) {
    session.addEventListener(name, ({ detail }) => said.push([name, detail]));
  }
  session.open();
  const janus = FakeJanus.made.at(-1);
  janus.callbacks.success();
  const [{ handle, onmessage, onremotetrack, oncleanup }] = janus.attached;
  assert.deepEqual(said.splice(0), [['ready', {}]]);
  assert.deepEqual(handle.requests, ['watch']);
  return { session, said, janus, handle, onmessage, onremotetrack, oncleanup };
}

beforeEach(() => mock.timers.enable());
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
    assert.deepEqual(said.map(([name]) => name), ['problem', 'ended']);
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
    assert.deepEqual(handle.answered.map(({ jsep, tracks }) => ({ jsep, tracks })), [
      { jsep: OFFER, tracks: [{ type: 'video', capture: false, recv: true }] },
    ]);
    assert.equal(handle.receivers[0].jitterBufferTarget, 0);
    assert.deepEqual(said, [['answered', {}]]);
  });

  // What becomes of a connection without frames is recovery.js' business.
  test('makes an offer without a picture behind it: it is answered, and is neither a picture nor a problem', () => {
    const { session, said, janus, handle, onmessage, onremotetrack } = attachedSession();
    onmessage(STARTED, OFFER);
    onremotetrack({ kind: 'audio' }, 'a', true);
    mock.timers.tick(60000);
    assert.deepEqual(said, [['answered', {}]]);

    session.watch();
    onmessage(STARTED, OFFER);
    const track = { kind: 'video' };
    onremotetrack(track, 'v', true);
    onremotetrack(track, 'v', true); // janus.js tells each track twice: created, unmuted
    assert.deepEqual(handle.requests, ['watch', 'start', 'watch', 'start']);
    assert.equal(janus.attached.length, 1);
    assert.deepEqual(said, [['answered', {}], ['answered', {}], ['track', { track }]]);
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

test('a track is told again after Janus hung up', () => {
  const { said, onremotetrack, oncleanup } = attachedSession();
  const track = { kind: 'video' };
  onremotetrack(track, 'v', true);
  oncleanup();
  onremotetrack(track, 'v', true);
  assert.deepEqual(said, [['track', { track }], ['hungup', {}], ['track', { track }]]);
});
