// SPDX-License-Identifier: MIT
// For tests of what keeps the picture: a video, a Janus session and a clock that do as a test says.
import { mock } from 'node:test';
import { settle } from './fake-page.mjs';

// As the browser's: who made it opens it and speaks to it.
export class FakeWebSocket extends EventTarget {
  static OPEN = 1;
  static CLOSED = 3;
  static made = [];
  readyState = 0;
  sent = [];

  constructor(url) {
    super();
    this.url = url;
    FakeWebSocket.made.push(this);
  }

  open() {
    this.readyState = FakeWebSocket.OPEN;
    this.dispatchEvent(new Event('open'));
  }

  send(text) {
    this.sent.push(text);
  }

  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(new Event('close'));
  }

  // A JPEG, so many milliseconds old.
  hearFrame(ageMs = 0) {
    const data = new ArrayBuffer(8);
    new DataView(data).setUint32(0, ageMs * 1000);
    this.dispatchEvent(new MessageEvent('message', { data }));
  }
}
globalThis.WebSocket = FakeWebSocket;
globalThis.createImageBitmap = async () => ({ width: 1280, height: 720, close() {} });
// Which node has only in newer versions.
globalThis.navigator ??= { onLine: true };

export class FakeScreen extends EventTarget {
  fresh = false;
  resumes = false;
  framesPerSecond = 30;
  hadPicture = false;
  isBlocked = false;
  shown = [];
  kept = 0;
  isFresh = () => this.fresh;
  mayResume = () => this.resumes;
  countDecoded() {}

  keepLastPicture() {
    this.kept += 1;
  }

  show(track) {
    this.shown.push(track);
  }
}

export class FakeSession extends EventTarget {
  static made = [];
  did = [];
  isAttached = false;
  peerConnection = { connectionState: 'connected' };

  constructor(options) {
    super();
    this.options = options;
    FakeSession.made.push(this);
    for (const request of ['open', 'claim', 'watch', 'ping', 'askClock', 'leave', 'abandon']) {
      this[request] = () => this.did.push(request);
    }
  }

  // What is done without being asked for: whether the WebSocket lives.
  get asked() {
    return this.did.filter((each) => each !== 'ping');
  }

  emit(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  becomeReady() {
    this.isAttached = true;
    this.emit('ready');
  }
}

// The time, since the page was opened.
export class Clock {
  now = 100;

  constructor() {
    FakeSession.made = [];
    FakeWebSocket.made = [];
    mock.timers.enable();
    mock.method(performance, 'now', () => this.now);
    mock.method(AbortSignal, 'timeout', () => undefined);
    // In the middle of what backoff.js allows.
    mock.method(Math, 'random', () => 0.5);
  }

  async pass(ms) {
    for (let passed = 0; passed < ms; passed += 50) {
      this.now += 50;
      mock.timers.tick(50);
      await settle();
    }
  }

  end() {
    mock.timers.reset();
    mock.restoreAll();
  }
}
