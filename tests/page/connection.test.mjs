// SPDX-License-Identifier: MIT
// When the page asks at the device, and whether it claims its session.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { Connection } = await import(new URL('connection.js', BASE));
const { prepareJanus } = await import(new URL('janus-session.js', BASE));

// Which node has only in newer versions.
globalThis.WebSocket ??= { OPEN: 1 };
globalThis.navigator ??= { onLine: true };

class FakeScreen extends EventTarget {
  isFresh = () => false;
  mayResume = () => false;
  keepLastPicture() {}
}

class FakeSocket extends EventTarget {
  readyState = 1;
  close() {}
}

// As much of janus.js as a connection uses; it writes down what it is asked for.
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

test('a new page asks at once, however fast it was loaded', (t) => {
  t.mock.method(performance, 'now', () => 100); // since the page was opened
  t.mock.method(AbortSignal, 'timeout', () => undefined);
  const asked = [];
  t.mock.method(globalThis, 'fetch', (url) => {
    asked.push(url);
    return new Promise(() => {});
  });
  const connection = new Connection(new FakeScreen(), {
    sessionOptions: {},
    gatewayUrl: '/api/gateway',
    sourceUrl: '/api/source',
    iceServersUrl: '/api/ice-servers',
    mjpegUrl: 'wss://kvm/api/jpegs',
    mjpegCanvas: {},
  });
  t.after(() => connection.stop());
  connection.start();
  assert.deepEqual(asked, ['/api/gateway', '/api/ice-servers']);
});

for (const { picture, mayResume, asked } of [
  { picture: 'may come back with the next key frame', mayResume: true, asked: ['new session', 'claim'] },
  { picture: 'is gone', mayResume: false, asked: ['new session', 'new session'] },
]) {
  test(`a WebSocket is lost while the picture ${picture}`, async (t) => {
    globalThis.WebSocket = Object.assign(FakeSocket, { OPEN: 1, CLOSED: 3 });
    t.mock.method(globalThis, 'fetch', async () => ({ ok: true, json: async () => ({ ice_servers: [] }) }));
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    // A link that held for long is made anew without a pause.
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    FakeJanus.asked = [];
    prepareJanus({ Janus: FakeJanus, adapter: {} });
    const screen = new FakeScreen();
    screen.mayResume = () => mayResume;
    const connection = new Connection(screen, {
      sessionOptions: { Janus: FakeJanus, url: 'wss://kvm.example/janus/ws' },
      gatewayUrl: '/api/gateway',
      sourceUrl: '/api/source',
      iceServersUrl: '/api/ice-servers',
      mjpegUrl: 'wss://kvm/api/jpegs',
      mjpegCanvas: {},
    });
    t.after(() => connection.stop());
    connection.start();
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    assert.deepEqual(FakeJanus.asked, ['new session']);
    now = 60000;
    FakeJanus.socket.close();
    for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    assert.deepEqual(FakeJanus.asked, asked);
  });
}
