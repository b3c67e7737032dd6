// SPDX-License-Identifier: MIT
// When the page knocks at the device.
import assert from 'node:assert/strict';
import { test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { Connection } = await import(new URL('connection.js', BASE));

// Which node has only in newer versions.
globalThis.WebSocket ??= { OPEN: 1 };
globalThis.navigator ??= { onLine: true };

class FakeScreen extends EventTarget {
  isFresh = () => false;
  keepLastPicture() {}
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
