// SPDX-License-Identifier: MIT
// The button for sound: what it asks for, what plays, and what is remembered.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { FakeElement, FakeStorage, settle } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
globalThis.localStorage = new FakeStorage();
globalThis.MediaStream = class {
  constructor(tracks) {
    this.tracks = tracks;
  }
};
const page = new EventTarget();
globalThis.addEventListener = page.addEventListener.bind(page);
const { levelOf, Sound } = await import(new URL('sound.js', BASE));

const TRACK = { kind: 'audio' };

class FakeAudio {
  volume = 1;
  srcObject = null;
  did = [];
  refusal = null;

  async play() {
    this.did.push('play');
    if (this.refusal) throw Object.assign(new Error('no'), { name: this.refusal });
  }

  pause() {
    this.did.push('pause');
  }
}

class FakeConnection extends EventTarget {
  wantsSound = false;
  soundTrack = null;

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

class FakeLevel {
  value = 0;
  isOver = false;

  constructor(stream) {
    this.stream = stream;
  }

  end() {
    this.isOver = true;
  }
}

function make() {
  const levels = [];
  const parts = {
    connection: new FakeConnection(),
    button: new FakeElement(),
    slider: new FakeElement({ hidden: true }),
    meter: new FakeElement({ hidden: true }),
    audio: new FakeAudio(),
    newLevel: (stream) => {
      levels.push(new FakeLevel(stream));
      return levels.at(-1);
    },
  };
  return { ...parts, levels, sound: new Sound(parts) };
}

// A level that is shown would keep this program from ending.
beforeEach(() => {
  globalThis.localStorage = new FakeStorage();
  mock.timers.enable({ apis: ['setInterval'] });
});
afterEach(() => mock.timers.reset());

group('the button', () => {
  test('asks for sound, which then plays, and ends it', () => {
    const { connection, button, slider, audio } = make();
    assert.equal(connection.wantsSound, false);
    button.click();
    assert.equal(connection.wantsSound, true);
    assert.equal(button.attributes['aria-pressed'], 'true');
    assert.equal(slider.hidden, false);
    connection.tell('sound', { track: TRACK });
    assert.deepEqual(audio.srcObject.tracks, [TRACK]);
    assert.deepEqual(audio.did, ['play']);
    button.click();
    assert.equal(connection.wantsSound, false);
    assert.equal(button.attributes['aria-pressed'], 'false');
    assert.equal(audio.srcObject, null);
    // What is still on its way is not heard.
    connection.tell('sound', { track: TRACK });
    assert.equal(audio.srcObject, null);
  });

  test('says why there is no sound over a WebSocket', () => {
    const { connection, button } = make();
    connection.tell('change', { transport: 'webcodecs' });
    assert.equal(button.disabled, true);
    assert.match(button.title, /WebRTC/);
    connection.tell('change', { transport: 'webrtc' });
    assert.equal(button.disabled, false);
    assert.equal(button.title, 'Sound');
  });
});

test('what came before the button was ready is heard', () => {
  const { sound, connection, audio } = make();
  connection.soundTrack = TRACK;
  sound.on = true;
  assert.deepEqual(audio.srcObject.tracks, [TRACK]);
});

test('a browser that plays nothing before a touch is asked again at the next', async () => {
  const { sound, connection, audio } = make();
  sound.on = true;
  audio.refusal = 'NotAllowedError';
  connection.tell('sound', { track: TRACK });
  await settle();
  page.dispatchEvent(new Event('keydown'));
  await settle();
  assert.deepEqual(audio.did, ['play', 'play']);
  audio.refusal = null;
  page.dispatchEvent(new Event('pointerup'));
  await settle();
  page.dispatchEvent(new Event('pointerup'));
  await settle();
  assert.deepEqual(audio.did, ['play', 'play', 'play']);
});

group('the level', () => {
  test('is that of what plays, and 0 when nothing does', async () => {
    const { sound, connection, meter, audio, levels } = make();
    sound.on = true;
    assert.equal(meter.hidden, false);
    connection.tell('sound', { track: TRACK });
    await settle();
    assert.equal(levels[0].stream, audio.srcObject);
    levels[0].value = 0.7;
    mock.timers.tick(100);
    assert.equal(meter.value, 0.7);
    sound.on = false;
    assert.equal(levels[0].isOver, true);
    levels[0].value = 0.8;
    mock.timers.tick(1000);
    assert.equal(meter.value, 0);
    assert.equal(meter.hidden, true);
  });

  test('follows the newest track', async () => {
    const { sound, connection, levels } = make();
    sound.on = true;
    connection.tell('sound', { track: TRACK });
    connection.tell('sound', { track: { kind: 'audio' } });
    await settle();
    assert.equal(levels.at(-1).isOver, false);
    assert.ok(levels.slice(0, -1).every(({ isOver }) => isOver));
  });

  for (const [what, sample, level] of [
    ['silence', 0, 0],
    ['what nobody hears', 0.0005, 0],
    ['30 dB below the loudest', 10 ** -1.5, 0.5],
    ['the loudest', 1, 1],
  ]) {
    test(`is in decibels: ${what}`, () => {
      const samples = Float32Array.from({ length: 100 }, (_, i) => (i % 2 ? sample : -sample));
      assert.ok(Math.abs(levelOf(samples) - level) < 1e-6);
    });
  }

  test('is not measured where nothing may play', async () => {
    const { sound, connection, audio, levels } = make();
    audio.refusal = 'NotAllowedError';
    sound.on = true;
    connection.tell('sound', { track: TRACK });
    await settle();
    assert.equal(levels.length, 0);
  });

  test('is not measured of what was switched off meanwhile', async () => {
    const { sound, connection, levels } = make();
    sound.on = true;
    connection.tell('sound', { track: TRACK });
    sound.on = false;
    await settle();
    assert.equal(levels.length, 0);
  });
});

group('what is remembered', () => {
  test('is whether there was sound, and how loud', () => {
    const first = make();
    first.sound.on = true;
    first.slider.value = 40;
    first.slider.dispatchEvent(new Event('input'));
    assert.equal(first.audio.volume, 0.4);
    assert.deepEqual(JSON.parse(localStorage.getItem('sound')), { on: true, volume: 0.4 });
    const second = make();
    assert.equal(second.audio.volume, 0.4);
    assert.equal(second.slider.value, 40);
  });

  for (const damaged of ['{"on":true,"volume":7}', '{"on":1}', 'null', '[']) {
    test(`is left where it is no such thing: ${damaged}`, () => {
      localStorage.setItem('sound', damaged);
      assert.equal(make().audio.volume, 1);
    });
  }
});
