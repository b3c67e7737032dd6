// SPDX-License-Identifier: MIT
// What carries the decisions out: sockets, menus, recordings, with stand-ins for the browser's own.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);

class FakeWebSocket extends EventTarget {
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

  send(text) {
    this.sent.push(text);
  }

  close() {
    this.readyState = FakeWebSocket.CLOSED;
  }

  open() {
    this.readyState = FakeWebSocket.OPEN;
    this.dispatchEvent(new Event('open'));
  }

  hear(data) {
    this.dispatchEvent(new MessageEvent('message', { data }));
  }
}
globalThis.WebSocket = FakeWebSocket;

beforeEach(() => {
  FakeWebSocket.made = [];
  mock.timers.enable();
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const { WatchedSocket } = await import(new URL('video/watched-socket.js', BASE));
const { InputSocket } = await import(new URL('hid/input-socket.js', BASE));
const { SocketVideo } = await import(new URL('video/socket-video.js', BASE));
const { JpegDecoder } = await import(new URL('video/jpeg-decoder.js', BASE));
const { dismissMenus } = await import(new URL('pages/menus.js', BASE));
const { Recording } = await import(new URL('video/recording.js', BASE));

group('a watched socket', () => {
  const watched = () => {
    const socket = new WatchedSocket('wss://kvm.example/', 'janus-protocol', { openWithin: 3000, answerWithin: 2500 });
    const said = [];
    for (const name of ['open', 'message', 'error', 'close']) socket.addEventListener(name, () => said.push(name));
    socket.addEventListener('lost', ({ detail }) => said.push(`lost: ${detail}`));
    return { socket, said, real: FakeWebSocket.made[0] };
  };
  const LOST = ['error', 'close', 'lost: silent'];

  test('is lost when it does not open in time', () => {
    const { said, socket } = watched();
    mock.timers.tick(2999);
    assert.deepEqual(said, []);
    mock.timers.tick(1);
    assert.deepEqual(said, LOST);
    assert.equal(socket.readyState, FakeWebSocket.CLOSED);
  });

  test('is lost by silence after something was sent, and not by silence alone', () => {
    const { said, socket, real } = watched();
    real.open();
    mock.timers.tick(60000);
    assert.deepEqual(said.splice(0), ['open']);
    socket.send('one');
    mock.timers.tick(2000);
    socket.send('two'); // which gives no new patience
    mock.timers.tick(499);
    assert.deepEqual(said, []);
    mock.timers.tick(1);
    assert.deepEqual(said, LOST);
    assert.deepEqual(real.sent, ['one', 'two']);
    assert.equal(real.readyState, FakeWebSocket.CLOSED);
  });

  test('is lost when it is closed by the other end', () => {
    const { said, real } = watched();
    real.open();
    real.dispatchEvent(new Event('close'));
    assert.deepEqual(said, ['open', 'error', 'close', 'lost: closed']);
  });

  test('is kept by any answer', () => {
    const { said, socket, real } = watched();
    real.open();
    socket.send('one');
    mock.timers.tick(2000);
    real.hear('answer');
    mock.timers.tick(60000);
    assert.deepEqual(said, ['open', 'message']);
  });

  test('says nothing after it was lost, once', () => {
    const { said, socket, real } = watched();
    real.open();
    socket.close();
    socket.close();
    real.hear('late');
    real.dispatchEvent(new Event('close'));
    socket.send('late');
    mock.timers.tick(60000);
    assert.deepEqual(said, ['open', 'error', 'close', 'lost: closed']);
    assert.deepEqual(real.sent, []);
  });
});

group('the socket of keyboard and mouse', () => {
  const started = () => {
    const socket = new InputSocket('wss://kvm.example/');
    socket.start();
    const [real] = FakeWebSocket.made;
    real.open();
    return { socket, real };
  };
  const sent = (real) => real.sent.filter((text) => text !== '{"type":"ping"}');
  const said = (real) => sent(real).map((text) => JSON.parse(text));

  test('says each half second that it lives, while something is held', () => {
    const { socket, real } = started();
    mock.timers.tick(1000);
    assert.deepEqual(sent(real), []);
    socket.held = true;
    mock.timers.tick(1500);
    assert.deepEqual(sent(real), Array(3).fill('{"type":"alive"}'));
    socket.held = false;
    mock.timers.tick(5000);
    assert.equal(sent(real).length, 3);
  });

  test('says that a key is still held, after what a press of typing takes, until it is let go', () => {
    const { socket, real } = started();
    const held = () => real.sent.filter((text) => text.startsWith('{"type":"held","at":')).length;
    socket.keyHeld = true;
    mock.timers.tick(119);
    assert.equal(held(), 0);
    socket.keyHeld = true; // another
    mock.timers.tick(1);
    assert.equal(held(), 1);
    mock.timers.tick(59);
    assert.equal(held(), 1);
    for (const milliseconds of [1, 60]) mock.timers.tick(milliseconds);
    assert.equal(held(), 3);
    socket.keyHeld = false;
    mock.timers.tick(5000);
    assert.equal(held(), 3);
    socket.keyHeld = true;
    socket.keyHeld = false;
    mock.timers.tick(5000);
    assert.equal(held(), 3);
  });

  test('says when something happened, where that may be', () => {
    const { socket, real } = started();
    mock.method(performance, 'now', () => 5000.4);
    for (const at of [4200.6, 5000.4, 4000, 5001, undefined, Number.NaN]) socket.say('key', {}, at);
    const moments = real.sent.map((text) => JSON.parse(text).at);
    assert.deepEqual(moments, [4201, 5000, 5000, 5000, undefined, 5000]);
  });

  test('notices within two seconds that nobody answers, and connects anew if it stays so', () => {
    const { socket, real } = started();
    const heard = [];
    socket.addEventListener('silence', ({ detail }) => heard.push(detail.isSilent));
    socket.addEventListener('lost', () => heard.push('lost'));
    mock.timers.tick(1100);
    real.hear('{"type":"pong"}');
    assert.deepEqual(heard, []);
    mock.timers.tick(2000);
    assert.deepEqual(heard, [true]);
    // The line had stalled: nothing was lost.
    real.hear('{"type":"pong"}');
    assert.deepEqual(heard, [true, false]);
    mock.timers.tick(2000);
    mock.timers.tick(3500);
    assert.deepEqual(heard, [true, false, true, false, 'lost']);
    mock.timers.tick(200);
    assert.equal(FakeWebSocket.made.length, 2);
    // What an abandoned connection still says, or its end, changes nothing.
    real.hear('{"type":"pong"}');
    real.dispatchEvent(new Event('close'));
    assert.equal(heard.length, 5);
  });

  test('does not wait for a connection that does not come about', () => {
    started();
    FakeWebSocket.made[0].dispatchEvent(new Event('close'));
    for (let turn = 0; turn < 10; turn += 1) mock.timers.tick(1000);
    assert.ok(FakeWebSocket.made.length >= 4, `${FakeWebSocket.made.length} attempts`);
  });

  test('proves on the next connection that it had the controls, and only then', () => {
    const { socket, real } = started();
    real.hear('{"type":"welcome","secret":"first"}');
    assert.deepEqual(said(real), []);
    socket.hasControls = true;
    real.dispatchEvent(new Event('close'));
    mock.timers.tick(200);
    const [, second] = FakeWebSocket.made;
    second.open();
    second.hear('{"type":"welcome","secret":"second"}');
    assert.deepEqual(said(second), [{ type: 'resume', token: 'first' }]);
    socket.hasControls = true;
    socket.hasControls = false; // given up
    second.dispatchEvent(new Event('close'));
    mock.timers.tick(200);
    const [, , third] = FakeWebSocket.made;
    third.open();
    third.hear('{"type":"welcome","secret":"third"}');
    assert.deepEqual(said(third), []);
  });

  test('loses what is said while it is not open', () => {
    const socket = new InputSocket('wss://kvm.example/');
    socket.say('key', { code: 'KeyA', down: true });
    socket.start();
    socket.say('key', { code: 'KeyA', down: true });
    const [real] = FakeWebSocket.made;
    real.open();
    assert.deepEqual(real.sent, []);
    socket.say('key', { code: 'KeyA', down: true });
    assert.deepEqual(real.sent, ['{"type":"key","code":"KeyA","down":true}']);
  });

  test('comes back by itself, and at once when it is told to', () => {
    const { socket, real } = started();
    let losses = 0;
    socket.addEventListener('lost', () => {
      losses += 1;
    });
    real.dispatchEvent(new Event('close'));
    assert.deepEqual([losses, FakeWebSocket.made.length], [1, 1]);
    mock.timers.tick(200);
    assert.equal(FakeWebSocket.made.length, 2);
    FakeWebSocket.made[1].dispatchEvent(new Event('close'));
    socket.retryNow();
    assert.equal(FakeWebSocket.made.length, 3);
    socket.retryNow();
    mock.timers.tick(2500);
    assert.equal(FakeWebSocket.made.length, 3);
  });

  test('tries ever more slowly until the device says something', () => {
    mock.method(Math, 'random', () => 0.5);
    const { socket, real } = started();
    assert.equal(real.url, 'wss://kvm.example/');
    const lose = () => FakeWebSocket.made.at(-1).dispatchEvent(new Event('close'));
    const triesAfter = (ms) => {
      const before = FakeWebSocket.made.length;
      mock.timers.tick(ms);
      return FakeWebSocket.made.length - before;
    };
    lose();
    assert.equal(triesAfter(150), 1);
    lose();
    assert.equal(triesAfter(209), 0);
    assert.equal(triesAfter(1), 1);
    FakeWebSocket.made.at(-1).hear('{"type":"state"}');
    lose();
    assert.equal(triesAfter(150), 1);
    // So does a person who looks again.
    lose();
    socket.retryNow();
    lose();
    assert.equal(triesAfter(150), 1);
  });

  test('stays away once the page is left, also in a pause', () => {
    const { socket, real } = started();
    socket.start();
    assert.equal(FakeWebSocket.made.length, 1);
    real.dispatchEvent(new Event('close'));
    socket.stop();
    mock.timers.tick(60000);
    assert.equal(FakeWebSocket.made.length, 1);
  });

  test('stays away once the page is left', () => {
    const { socket, real } = started();
    socket.stop();
    assert.equal(real.readyState, FakeWebSocket.CLOSED);
    real.dispatchEvent(new Event('close'));
    socket.retryNow();
    mock.timers.tick(60000);
    assert.equal(FakeWebSocket.made.length, 1);
  });

  test('hands on each message by its type', () => {
    const { socket, real } = started();
    const heard = [];
    socket.addEventListener('state', ({ detail }) => heard.push(detail));
    real.hear('{"type":"state","leds":2}');
    assert.deepEqual(heard, [{ type: 'state', leds: 2 }]);
  });
});

group('the picture as JPEGs', () => {
  let now = 0;
  const settle = async () => {
    for (let round = 0; round < 20; round += 1) await Promise.resolve();
  };
  const frame = (ageMs) => {
    const data = new ArrayBuffer(104);
    new DataView(data).setUint32(0, ageMs * 1000);
    return data;
  };

  const started = async () => {
    now = 10000;
    mock.method(performance, 'now', () => now);
    mock.method(Math, 'random', () => 0.5);
    const size = { width: 640, height: 360 };
    const did = [];
    globalThis.createImageBitmap = async (jpeg) => {
      did.push(jpeg.size);
      if (size.width === 0) throw new Error('no JPEG');
      return { ...size, close: () => did.push('close') };
    };
    const context = { drawImage: (_picture, ...place) => did.push(place) };
    const canvas = {
      hidden: true,
      width: 16,
      height: 9,
      getContext: (kind) => kind === '2d' && context,
      captureStream: () => 'its stream',
    };
    const device = { answers: true, asks: 0 };
    const deviceAnswers = async () => {
      device.asks += 1;
      return device.answers;
    };
    const video = new SocketVideo({
      url: 'wss://kvm.example/',
      canvas,
      newDecoder: (events) => new JpegDecoder(events),
      deviceAnswers,
    });
    const atFirst = [video.isOpen, video.hadPicture, video.width, video.height, video.framesPerSecond];
    assert.deepEqual(atFirst, [false, false, 0, 0, 0]);
    const pictures = [];
    video.addEventListener('picture', () => pictures.push(now));
    video.start();
    await settle();
    const [real] = FakeWebSocket.made;
    real.open();
    const receive = async (ageMs, count) => {
      for (let each = 0; each < count; each += 1) {
        now += 40;
        real.hear(frame(ageMs));
        await settle();
      }
    };
    return { video, canvas, device, did, real, receive, pictures, size };
  };

  test('is shown, told to the device, and fresh', async () => {
    const { video, canvas, real, receive, pictures } = await started();
    await receive(30, 4);
    assert.deepEqual(real.sent, Array(4).fill('shown'));
    assert.deepEqual([canvas.hidden, video.width, video.height], [false, 640, 360]);
    assert.deepEqual([video.isFresh(), pictures.length, video.latencyMs], [true, 1, 30]);
    now += 1100;
    assert.equal(video.isFresh(), false);
    video.stop();
  });

  test('is drawn as it is, in its size, and then forgotten', async () => {
    const { video, canvas, did, real, receive, size } = await started();
    assert.equal(real.url, 'wss://kvm.example/');
    assert.equal(real.binaryType, 'arraybuffer');
    await receive(0, 1);
    assert.deepEqual(did, [100, [0, 0], 'close']);
    for (const changed of [{ width: 1280 }, { height: 720 }]) {
      Object.assign(size, changed);
      await receive(0, 1);
      assert.deepEqual([canvas.width, canvas.height], [size.width, size.height]);
    }
    let resized = 0;
    Object.defineProperty(canvas, 'width', { get: () => 1280, set: () => resized++ });
    await receive(0, 1);
    assert.equal(resized, 0); // that would clear it
    assert.deepEqual([video.element, video.stream], [canvas, 'its stream']);
    video.stop();
  });

  test('that can not be read is told to the device, and nothing else', async () => {
    const { video, canvas, real, receive, size } = await started();
    size.width = 0;
    await receive(0, 4);
    assert.equal(real.sent.length, 4);
    assert.deepEqual([canvas.hidden, video.isFresh()], [true, false]);
    video.stop();
  });

  test('has rates, each second, while it is fresh', async () => {
    const { video, receive } = await started();
    await receive(0, 10);
    assert.deepEqual([video.framesPerSecond, video.bitsPerSecond, video.hadPicture], [0, 0, true]);
    await receive(0, 40);
    assert.deepEqual([video.framesPerSecond, video.bitsPerSecond], [25, 25 * 104 * 8]);
    now += 1100;
    assert.deepEqual([video.framesPerSecond, video.bitsPerSecond, video.latencyMs], [0, 0, null]);
    // What comes after a pause tells nothing of the rate.
    now += 5000;
    await receive(0, 4);
    assert.deepEqual([video.isFresh(), video.framesPerSecond], [true, 25]);
    video.stop();
  });

  test('has a rate also where it comes once a second', async () => {
    const { video, receive } = await started();
    for (let each = 0; each < 4; each += 1) {
      now += 960; // and 40
      await receive(0, 1);
    }
    assert.equal(video.framesPerSecond, 1);
    video.stop();
  });

  test('that was stopped stays on the canvas until it is hidden, and its late frames are nothing', async () => {
    const { video, canvas, real, receive } = await started();
    await receive(0, 4);
    assert.equal(video.isOpen, true);
    video.stop();
    assert.deepEqual([video.isOpen, real.readyState, canvas.hidden], [false, FakeWebSocket.CLOSED, false]);
    assert.deepEqual([video.isFresh(), video.hadPicture], [false, true]);
    await receive(0, 4);
    assert.equal(real.sent.length, 4);
    video.hide();
    assert.deepEqual([canvas.hidden, video.width, video.height], [true, 0, 0]);
  });

  test('that is started again proves itself anew, on one socket', async () => {
    const { video, real, receive } = await started();
    await receive(0, 4);
    video.start();
    await settle();
    assert.equal(FakeWebSocket.made.length, 1);
    video.stop();
    real.dispatchEvent(new Event('close'));
    await settle();
    video.start();
    await settle();
    assert.equal(FakeWebSocket.made.length, 2);
    assert.equal(video.isFresh(), false);
    video.stop();
  });

  test('is tried ever more slowly while the device does not answer, and at once when it is told to', async () => {
    const { video, device, real } = await started();
    device.answers = false;
    real.dispatchEvent(new Event('close'));
    await settle();
    const asksAfter = async (ms) => {
      const before = device.asks;
      mock.timers.tick(ms);
      await settle();
      return device.asks - before;
    };
    assert.equal(await asksAfter(150), 1);
    assert.equal(await asksAfter(209), 0);
    assert.equal(await asksAfter(1), 1);
    const before = device.asks;
    video.retryNow();
    await settle();
    assert.equal(device.asks, before + 1);
    assert.equal(await asksAfter(150), 1);
    assert.equal(FakeWebSocket.made.length, 1);
    video.stop();
    assert.equal(await asksAfter(60000), 0);
    device.answers = true;
    video.start();
    await settle();
    assert.equal(FakeWebSocket.made.length, 2);
    video.stop();
  });

  test('is kept by frames, however slow they are', async () => {
    const { video, real, receive } = await started();
    for (let each = 0; each < 3; each += 1) {
      mock.timers.tick(4000);
      await receive(0, 1);
    }
    assert.equal(real.readyState, FakeWebSocket.OPEN);
    video.stop();
  });

  test('is not fresh when its frames are old', async () => {
    const { video, real, receive } = await started();
    await receive(2000, 8);
    assert.equal(video.isFresh(), false);
    assert.equal(real.sent.length, 8);
    await receive(1999, 8);
    assert.equal(video.isFresh(), true);
    video.stop();
  });

  test('comes over a new socket after five seconds of silence, also between frames', async () => {
    const { video, did, real, receive } = await started();
    await receive(0, 4);
    mock.timers.tick(4999);
    await settle();
    assert.equal(real.readyState, FakeWebSocket.OPEN);
    mock.timers.tick(1);
    await settle();
    assert.equal(real.readyState, FakeWebSocket.CLOSED);
    // A late frame is nothing.
    await receive(0, 1);
    assert.equal(did.length, 12);
    mock.timers.tick(200);
    await settle();
    assert.equal(FakeWebSocket.made.length, 2);
    // A browser may take its time to close the other one.
    real.dispatchEvent(new Event('close'));
    await receive(0, 1);
    assert.equal(did.length, 12);
    const [, second] = FakeWebSocket.made;
    second.open();
    now += 40;
    second.hear(frame(0));
    await settle();
    assert.deepEqual(second.sent, ['shown']);
    video.stop();
  });

  test('is tried after short pauses again once it was there, or is started again', async () => {
    const { video, device, real } = await started();
    const asksAfter = async (ms) => {
      const before = device.asks;
      mock.timers.tick(ms);
      await settle();
      return device.asks - before;
    };
    device.answers = false;
    real.dispatchEvent(new Event('close'));
    await settle();
    assert.deepEqual([await asksAfter(150), await asksAfter(210)], [1, 1]);
    // In a pause that is longer already.
    const before = device.asks;
    video.stop();
    video.start();
    await settle();
    assert.equal(device.asks, before + 1);
    assert.equal(await asksAfter(150), 1);
    device.answers = true;
    assert.equal(await asksAfter(210), 1);
    const [, second] = FakeWebSocket.made;
    second.open();
    for (let each = 0; each < 4; each += 1) {
      now += 40;
      second.hear(frame(0));
      await settle();
    }
    assert.equal(video.isFresh(), true);
    second.dispatchEvent(new Event('close'));
    await settle();
    assert.equal(await asksAfter(150), 1);
    video.stop();
  });

  test('that is started again at once comes over one socket', async () => {
    const { video, real } = await started();
    video.stop();
    video.start();
    real.dispatchEvent(new Event('close'));
    await settle();
    mock.timers.tick(150);
    await settle();
    assert.equal(FakeWebSocket.made.length, 2);
    video.stop();
  });
});

group('a menu', () => {
  const opened = (t) => {
    const page = new EventTarget();
    globalThis.document = page;
    t.after(() => delete globalThis.document);
    const inside = {};
    const summary = { focused: 0, focus: () => summary.focused++ };
    const menu = Object.assign(new EventTarget(), {
      open: true,
      contains: (element) => element === inside,
      querySelector: () => summary,
    });
    dismissMenus([menu]);
    const happen = (target, type, fields) => {
      const event = new Event(type, { cancelable: true });
      for (const [name, value] of Object.entries(fields)) Object.defineProperty(event, name, { value });
      target.dispatchEvent(event);
    };
    return { page, menu, inside, summary, happen };
  };

  test('is closed by Escape, and its button has the focus then', (t) => {
    const { menu, summary, happen } = opened(t);
    happen(menu, 'keydown', { key: 'a' });
    happen(menu, 'keydown', { key: 'Escape', defaultPrevented: true });
    assert.equal(menu.open, true);
    happen(menu, 'keydown', { key: 'Escape' });
    assert.deepEqual([menu.open, summary.focused], [false, 1]);
    happen(menu, 'keydown', { key: 'Escape' });
    assert.equal(summary.focused, 1);
  });

  test('is closed by a click elsewhere', (t) => {
    const { page, menu, inside, happen } = opened(t);
    happen(page, 'pointerdown', { target: inside });
    assert.equal(menu.open, true);
    happen(page, 'pointerdown', { target: {} });
    assert.equal(menu.open, false);
  });

  test('is closed by a focus elsewhere, and not by one that goes nowhere', (t) => {
    const { menu, inside, happen } = opened(t);
    happen(menu, 'focusout', { relatedTarget: inside });
    happen(menu, 'focusout', { relatedTarget: null });
    assert.equal(menu.open, true);
    happen(menu, 'focusout', { relatedTarget: {} });
    assert.equal(menu.open, false);
  });
});

group('a recording', () => {
  class FakeRecorder extends EventTarget {
    static supported = (type) => type.startsWith('video/webm');
    static isTypeSupported = (type) => FakeRecorder.supported(type);
    state = 'inactive';
    stops = 0;

    constructor(stream, { mimeType }) {
      super();
      Object.assign(this, { stream, mimeType });
      FakeRecorder.last = this;
    }

    start(pieceMs) {
      this.state = 'recording';
      this.pieceMs = pieceMs;
    }

    stop() {
      this.state = 'inactive';
      this.stops += 1;
      this.dispatchEvent(new Event('stop'));
    }

    give(text) {
      this.dispatchEvent(Object.assign(new Event('dataavailable'), { data: new Blob([text]) }));
    }
  }
  globalThis.MediaRecorder = FakeRecorder;
  const SILENT = { getAudioTracks: () => [] };
  const SOUNDING = { getAudioTracks: () => ['a track'] };

  test('has what came until it was stopped', async () => {
    const recording = new Recording(SILENT);
    let ends = 0;
    recording.addEventListener('end', () => {
      ends += 1;
    });
    const recorder = FakeRecorder.last;
    assert.deepEqual([recorder.stream, recorder.pieceMs, recorder.mimeType], [SILENT, 1000, 'video/webm;codecs=h264']);
    for (const piece of ['a', '', 'b']) recorder.give(piece);
    recording.stop();
    recording.stop();
    assert.deepEqual([ends, recorder.stops], [1, 1]);
    assert.equal(await recording.blob.text(), 'ab');
    assert.deepEqual([recording.blob.type, recording.extension], ['video/webm;codecs=h264', 'webm']);
  });

  test('of nothing is none, and one piece is something', async () => {
    const recording = new Recording(SILENT);
    FakeRecorder.last.give('');
    assert.equal(recording.blob, null);
    FakeRecorder.last.give('a');
    assert.equal(await recording.blob.text(), 'a');
  });

  test('has sound where the stream has', () => {
    assert.equal(new Recording(SOUNDING).extension, 'webm');
    assert.equal(FakeRecorder.last.mimeType, 'video/webm;codecs=h264,opus');
  });

  test('is called by what is in it', () => {
    mock.method(FakeRecorder, 'supported', () => true);
    assert.equal(new Recording(SILENT).extension, 'mp4');
  });
});
