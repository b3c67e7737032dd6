// SPDX-License-Identifier: MIT
// What is asked of Janus before the page's modules are there, and how janus.js gets the answers.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import vm from 'node:vm';
import { settle } from './fake-page.mjs';
import { FakeWebSocket } from './video-fakes.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { WatchedSocket } = await import(new URL('watched-socket.js', BASE));
const FILE = new URL('early-signalling.js', BASE);

const H264 = { codecs: [{ mimeType: 'video/VP8' }, { mimeType: 'video/H264' }] };

// The page, and its script: {early: its socket, or undefined; leave()}.
function openPage({ capabilities = H264, pin = null, getItem = () => pin } = {}) {
  FakeWebSocket.made = [];
  let leave;
  const context = {
    ...{ JSON, WebSocket: FakeWebSocket, localStorage: { getItem }, location: { host: 'kvm.example:8443' } },
    RTCRtpReceiver: capabilities && { getCapabilities: () => capabilities },
    addEventListener: (type, listen) => {
      assert.equal(type, 'pagehide');
      leave = listen;
    },
  };
  vm.runInNewContext(readFileSync(FILE, 'utf8'), context, { filename: FILE.href });
  globalThis.earlySignalling = context.earlySignalling;
  return { early: FakeWebSocket.made[0], leave };
}

const asked = (socket) => socket.sent.splice(0).map((text) => JSON.parse(text));
const tell = (socket, message) => socket.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }));

const CREATED = { janus: 'success', transaction: 'create', data: { id: 7 } };
const ATTACHED = { janus: 'success', session_id: 7, transaction: 'attach', data: { id: 8 } };
const ACK = { janus: 'ack', session_id: 7, transaction: 'message' };
const OFFER = { janus: 'event', session_id: 7, transaction: 'message', sender: 8, jsep: { type: 'offer', sdp: 'v=0' } };
const NEWS = { janus: 'timeout', session_id: 7 };

// As janus.js does: each question when the one before is answered. `heard`: what it was told.
function readAsJanusJs() {
  const socket = new WatchedSocket('wss://kvm.example:8443/janus/ws', 'janus-protocol');
  const heard = [];
  const ask = (message) => socket.send(JSON.stringify(message));
  socket.addEventListener('open', () => ask({ janus: 'create', transaction: 'a1' }));
  socket.addEventListener('message', ({ data }) => {
    const told = JSON.parse(data);
    heard.push(told);
    if (told.janus !== 'success') return;
    if (told.transaction === 'a1') ask({ janus: 'attach', session_id: 7, transaction: 'b2', plugin: 'p' });
    if (told.transaction === 'b2') ask({ janus: 'message', session_id: 7, handle_id: 8, transaction: 'c3', body: {} });
  });
  return { socket, heard };
}

const HEARD = [
  { ...CREATED, transaction: 'a1' },
  { ...ATTACHED, transaction: 'b2' },
  { ...ACK, transaction: 'c3' },
  { ...OFFER, transaction: 'c3' },
];

function answerAll(early) {
  early.open();
  for (const message of [CREATED, ATTACHED, ACK, OFFER]) tell(early, message);
}

test('session, handle and picture are asked for one after the other, before anything else of the page is there', () => {
  const { early } = openPage();
  assert.equal(early.url, 'wss://kvm.example:8443/janus/ws');
  assert.deepEqual(asked(early), []);
  early.open();
  assert.deepEqual(asked(early), [{ janus: 'create', transaction: 'create' }]);
  tell(early, CREATED);
  const plugin = 'janus.plugin.ustreamer';
  assert.deepEqual(asked(early), [{ janus: 'attach', session_id: 7, plugin, transaction: 'attach' }]);
  tell(early, ATTACHED);
  const watch = { janus: 'message', session_id: 7, handle_id: 8, body: { request: 'watch' }, transaction: 'message' };
  assert.deepEqual(asked(early), [watch]);
  tell(early, OFFER);
  assert.deepEqual(asked(early), []);
});

test('janus.js gets the answers that are there, by the names of its own questions, and nothing is asked twice', async () => {
  const { early } = openPage();
  answerAll(early);
  asked(early);
  const { heard } = readAsJanusJs();
  await settle();
  assert.deepEqual(heard, HEARD);
  assert.deepEqual(asked(early), []);
  assert.equal(FakeWebSocket.made.length, 1);
});

test('it gets them as they come, too', async () => {
  const { early } = openPage();
  const { heard } = readAsJanusJs();
  await settle();
  assert.deepEqual(heard, []);
  early.open();
  for (const message of [CREATED, ATTACHED, ACK, OFFER]) {
    tell(early, message);
    await settle();
  }
  assert.deepEqual(heard, HEARD);
  assert.equal(early.sent.length, 3);
});

test('an error is the answer to its question', async () => {
  const { early } = openPage();
  early.open();
  tell(early, CREATED);
  const error = { janus: 'error', session_id: 7, transaction: 'attach', error: { code: 460, reason: 'no' } };
  tell(early, error);
  const { heard } = readAsJanusJs();
  await settle();
  assert.deepEqual(heard, [HEARD[0], { ...error, transaction: 'b2' }]);
  assert.equal(early.sent.length, 2);
});

test('all else is said and heard as it is, in its order', async () => {
  const { early } = openPage();
  answerAll(early);
  tell(early, NEWS);
  asked(early);
  const { heard, socket } = readAsJanusJs();
  await settle();
  const more = [
    { janus: 'message', session_id: 7, handle_id: 8, transaction: 'd4', body: { request: 'start' } },
    { janus: 'create', transaction: 'e5' },
    { janus: 'keepalive', session_id: 7, transaction: 'f6' },
  ];
  for (const each of more) socket.send(JSON.stringify(each));
  assert.deepEqual(asked(early), more);
  tell(early, { janus: 'ack', transaction: 'd4' });
  assert.deepEqual(heard, [...HEARD, NEWS, { janus: 'ack', transaction: 'd4' }]);
});

test('it is taken once, and not when it is lost', async () => {
  const { early } = openPage();
  early.open();
  readAsJanusJs();
  readAsJanusJs();
  assert.equal(FakeWebSocket.made.length, 2);
  const other = openPage();
  other.early.open();
  other.early.close();
  readAsJanusJs();
  assert.equal(FakeWebSocket.made.length, 2);
});

test('a loss is known at once', async () => {
  const { early } = openPage();
  early.open();
  const { socket } = readAsJanusJs();
  const lost = [];
  socket.addEventListener('lost', ({ detail }) => lost.push(detail));
  early.close();
  assert.deepEqual(lost, ['closed']);
});

for (const [what, page] of [
  ['another transport was chosen', { pin: 'mjpeg' }],
  ['the other H.264 was chosen', { pin: 'webcodecs' }],
  ['the browser has no WebRTC', { capabilities: null }],
]) {
  test(`nothing is opened where ${what}`, async () => {
    assert.equal(openPage(page).early, undefined);
    readAsJanusJs();
    assert.equal(FakeWebSocket.made.length, 1);
  });
}

test('nothing is asked where the browser has no H.264 in WebRTC', async () => {
  const { early } = openPage({ capabilities: { codecs: [{ mimeType: 'video/VP8' }] } });
  assert.equal(early.readyState, FakeWebSocket.CLOSED);
  assert.deepEqual(asked(early), []);
  readAsJanusJs();
  assert.equal(FakeWebSocket.made.length, 2);
});

for (const [what, page] of [
  ['WebRTC was chosen', { pin: 'webrtc' }],
  [
    'storage is blocked',
    {
      getItem() {
        throw new DOMException('denied', 'SecurityError');
      },
    },
  ],
]) {
  test(`it is asked where ${what}`, () => assert.ok(openPage(page).early));
}

test('who leaves before the modules are there leaves nothing behind', () => {
  const { early, leave } = openPage();
  answerAll(early);
  asked(early);
  leave();
  assert.deepEqual(asked(early), [{ janus: 'destroy', session_id: 7, transaction: 'destroy' }]);
  assert.equal(early.readyState, FakeWebSocket.CLOSED);
});

test('who leaves before it is connected, or has a session, says nothing', () => {
  for (const opens of [false, true]) {
    const { early, leave } = openPage();
    if (opens) early.open();
    asked(early);
    leave();
    assert.deepEqual(asked(early), []);
    assert.equal(early.readyState, FakeWebSocket.CLOSED);
  }
});

test('who leaves later leaves it to janus.js', async () => {
  const { early, leave } = openPage();
  answerAll(early);
  readAsJanusJs();
  await settle();
  asked(early);
  leave();
  assert.deepEqual(asked(early), []);
  assert.equal(early.readyState, FakeWebSocket.OPEN);
});
