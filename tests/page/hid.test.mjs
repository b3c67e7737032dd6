// SPDX-License-Identifier: MIT
// Keyboard and mouse: what is decided without a browser.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { HeldKeys } = await import(new URL('held-keys.js', BASE));
const { pictureIn, positionOf } = await import(new URL('../video/picture-map.js', BASE));
const { WheelSteps } = await import(new URL('wheel-steps.js', BASE));
const { LONG_PRESS_MS, TouchGestures } = await import(new URL('touch-gestures.js', BASE));
const { describeControls, nameOf } = await import(new URL('controls-state.js', BASE));
const { BUILT_IN, describe, isCombination, Recorder } = await import(new URL('combinations.js', BASE));
const { guessLayout, layoutName, showCharacter } = await import(new URL('paste-dialog.js', BASE));

const down = (code) => ({ code, down: true });
const up = (code) => ({ code, down: false });

// --- Keys ---

test('a held key is sent once, and let go once', () => {
  const keys = new HeldKeys();
  assert.deepEqual(keys.press({ code: 'KeyA' }), [down('KeyA')]);
  assert.deepEqual(keys.press({ code: 'KeyA', repeat: true }), []);
  assert.deepEqual(keys.press({ code: 'KeyA' }), []);
  assert.deepEqual(keys.release({ code: 'KeyA' }).changes, [up('KeyA')]);
  assert.deepEqual(keys.release({ code: 'KeyA' }).changes, []);
  assert.deepEqual(keys.press({ code: '' }), []);
});

test('the Control that Windows puts before AltGr is taken back', () => {
  const keys = new HeldKeys();
  keys.press({ code: 'ControlLeft', key: 'Control', timeStamp: 100 });
  const changes = keys.press({ code: 'AltRight', key: 'AltGraph', timeStamp: 101 });
  assert.deepEqual(changes, [up('ControlLeft'), down('AltRight')]);
  assert.deepEqual(keys.release({ code: 'ControlLeft' }).changes, []);
});

test('Control and then AltGr stay both', () => {
  const keys = new HeldKeys();
  keys.press({ code: 'ControlLeft', key: 'Control', timeStamp: 100 });
  assert.deepEqual(keys.press({ code: 'AltRight', key: 'AltGraph', timeStamp: 300 }), [down('AltRight')]);
});

test('Windows may take thirty milliseconds for AltGr, and no person types so fast', () => {
  for (const [later, isOne] of [
    [20, true],
    [30, true],
    [31, false],
  ]) {
    const keys = new HeldKeys();
    keys.press({ code: 'ControlLeft', key: 'Control', timeStamp: 100 });
    const changes = keys.press({ code: 'AltRight', key: 'AltGraph', timeStamp: 100 + later });
    assert.equal(changes.length, isOne ? 2 : 1);
  }
});

test('a key that is let go leaves the others down', () => {
  const keys = new HeldKeys();
  for (const code of ['KeyA', 'KeyB']) keys.press({ code });
  assert.deepEqual(keys.release({ code: 'KeyA' }).changes, [up('KeyA')]);
  assert.equal(keys.any, true);
});

test('keys that macOS forgets are let go with Command', () => {
  const keys = new HeldKeys();
  for (const code of ['ShiftLeft', 'MetaLeft', 'KeyC']) keys.press({ code });
  assert.deepEqual(keys.release({ code: 'MetaLeft' }).changes, [up('MetaLeft'), up('KeyC')]);
});

test('Ctrl, Alt and Shift alone give the keyboard back, in any order, when one is let go', () => {
  const keys = new HeldKeys();
  for (const code of ['ShiftLeft', 'ControlLeft', 'AltLeft']) keys.press({ code });
  assert.equal(keys.release({ code: 'ControlLeft' }).leave, true);
  assert.equal(keys.release({ code: 'AltLeft' }).leave, false);
});

test('they do not when they were released meanwhile, or never pressed', () => {
  const keys = new HeldKeys();
  assert.equal(keys.release({ code: 'AltLeft' }).leave, false);
  for (const code of ['ShiftLeft', 'ControlLeft', 'AltLeft']) keys.press({ code });
  assert.equal(keys.clear(), true);
  assert.equal(keys.clear(), false);
  assert.equal(keys.release({ code: 'AltLeft' }).leave, false);
});

test('with another key they are an ordinary combination', () => {
  const keys = new HeldKeys();
  for (const code of ['ControlLeft', 'AltLeft', 'ShiftLeft', 'KeyT']) keys.press({ code });
  assert.equal(keys.release({ code: 'KeyT' }).leave, false);
  assert.equal(keys.release({ code: 'ShiftLeft' }).leave, false);
});

test('Caps Lock of a Mac, which is down as long as it is on, is pressed and let go each time', () => {
  const keys = new HeldKeys({ mac: true });
  const pressed = [down('CapsLock'), up('CapsLock')];
  assert.deepEqual(keys.press({ code: 'CapsLock' }), pressed);
  assert.equal(keys.any, false);
  assert.deepEqual(keys.release({ code: 'CapsLock' }), { changes: pressed, leave: false });
  const others = new HeldKeys();
  assert.deepEqual(others.press({ code: 'CapsLock' }), [down('CapsLock')]);
  assert.deepEqual(others.release({ code: 'CapsLock' }).changes, [up('CapsLock')]);
});

test('the chord gives the keyboard back while Caps Lock of a Mac is on, and not when it is pressed with it', () => {
  const keys = new HeldKeys({ mac: true });
  const chord = ['ShiftLeft', 'ControlLeft', 'AltLeft'];
  keys.press({ code: 'CapsLock' });
  for (const code of chord) keys.press({ code });
  assert.equal(keys.release({ code: 'AltLeft' }).leave, true);
  for (const change of ['press', 'release']) {
    keys.clear();
    for (const code of chord) keys.press({ code });
    keys[change]({ code: 'CapsLock' });
    assert.equal(keys.release({ code: 'AltLeft' }).leave, false, change);
  }
});

// --- Places ---

test('bars at the sides or above and below belong to nothing', () => {
  assert.deepEqual(pictureIn({ left: 10, top: 20, width: 2000, height: 720 }, 1280, 720), {
    left: 370,
    top: 20,
    scale: 1,
    width: 1280,
    height: 720,
  });
  assert.equal(pictureIn({ left: 0, top: 0, width: 640, height: 1000 }, 1280, 720).top, 320);
});

test('each pixel of the picture is met, at any zoom and resolution', () => {
  for (const [width, height] of [
    [640, 480],
    [1024, 768],
    [1280, 720],
    [1920, 1080],
    [3840, 2160],
  ]) {
    for (const scale of [0.33, 0.5, 1, 1.25, 2.5]) {
      const box = { left: 7.5, top: 31.25, width: width * scale + 100, height: height * scale };
      for (const pixel of [0, 1, Math.floor(width / 3), width - 2, width - 1]) {
        const point = { x: 7.5 + 50 + (pixel + 0.5) * scale, y: 31.25 };
        const { x } = positionOf(point, box, width, height);
        assert.equal(Math.floor((x * width) / 32768), pixel, `${pixel} of ${width} at ${scale}`);
      }
    }
  }
});

test('places outside are those at the edge, and stay in range', () => {
  const box = { left: 0, top: 0, width: 1280, height: 720 };
  for (const point of [
    { x: -50, y: -1 },
    { x: 5000, y: 9000 },
  ]) {
    const { x, y } = positionOf(point, box, 1280, 720);
    assert.ok(x >= 0 && x <= 32767 && y >= 0 && y <= 32767);
  }
  for (const [nothing, width, height] of [
    [{}, 0, 720],
    [{}, 1280, 0],
    [{ width: 0 }, 1280, 720],
    [{ height: 0 }, 1280, 720],
  ]) {
    assert.equal(positionOf({ x: 1, y: 1 }, { ...box, ...nothing }, width, height), null);
  }
  assert.ok(positionOf({ x: 0, y: 0 }, { ...box, width: 1, height: 1 }, 1, 1));
});

// A pixel of a 640 x 360 picture, and where its middle is when the picture is turned clockwise by so much.
const corner = [10, 20];
const turned = {
  0: [10.5, 20.5],
  90: [360 - 20.5, 10.5],
  180: [640 - 10.5, 360 - 20.5],
  270: [20.5, 640 - 10.5],
};
for (const [rotation, [x, y]] of Object.entries(turned)) {
  const view = { rotation: Number(rotation), scale: null, scrolled: { left: 0, top: 0 } };
  const pixelAt = (point, box, how = view) => {
    const place = positionOf(point, box, 640, 360, how);
    return [Math.floor((place.x * 640) / 32768), Math.floor((place.y * 360) / 32768)];
  };

  test(`a picture turned by ${rotation} degrees, fitted, has its places`, () => {
    // Twice its size, and 60 pixels of bar on both sides.
    const box = rotation % 180 ? { width: 720 + 120, height: 1280 } : { width: 1280 + 120, height: 720 };
    const point = { x: 5 + 60 + 2 * x, y: 7 + 2 * y };
    assert.deepEqual(pixelAt(point, { left: 5, top: 7, ...box }), corner);
  });

  test(`a picture turned by ${rotation} degrees, pixel for pixel, has its places where it is scrolled to`, () => {
    const small = { left: 5, top: 7, width: 100, height: 80 };
    const scrolled = { ...view, scale: 1, scrolled: { left: 90, top: 33 } };
    assert.deepEqual(pixelAt({ x: 5 + x - 90, y: 7 + y - 33 }, small, scrolled), corner);
    // In a place that is larger it lies in the middle.
    const large = { left: 5, top: 7, width: 1000, height: 1000 };
    const [across, down] = rotation % 180 ? [360, 640] : [640, 360];
    const unscrolled = { ...view, scale: 1 };
    const point = { x: 5 + (1000 - across) / 2 + x, y: 7 + (1000 - down) / 2 + y };
    assert.deepEqual(pixelAt(point, large, unscrolled), corner);
    // And on a screen with two pixels where others have one.
    const dense = { ...view, scale: 0.5, scrolled: { left: 40, top: 10 } };
    assert.deepEqual(pixelAt({ x: 5 + x / 2 - 40, y: 7 + y / 2 - 10 }, small, dense), corner);
  });
}

// --- Wheel ---

test('a notch is a step, and fractions add up', () => {
  const wheel = new WheelSteps();
  assert.deepEqual(wheel.notches({ deltaX: 0, deltaY: 100 }), { wheel: -1, pan: 0 });
  assert.deepEqual(wheel.notches({ deltaX: 0, deltaY: -3, deltaMode: 1 }), { wheel: 1, pan: 0 });
  let steps = 0;
  for (let i = 0; i < 99; i++) steps += wheel.notches({ deltaX: 10, deltaY: 0 }).pan;
  assert.equal(steps, 9);
});

test('another direction begins anew', () => {
  const wheel = new WheelSteps();
  for (let i = 0; i < 9; i++) wheel.notches({ deltaX: 0, deltaY: 10 });
  for (let i = 0; i < 9; i++) assert.equal(wheel.notches({ deltaX: 0, deltaY: -10 }).wheel, 0);
  assert.equal(wheel.notches({ deltaX: 0, deltaY: -10 }).wheel, 1);
});

test('the smallest turns add up, from nothing on', () => {
  for (const deltaY of [1, -1]) {
    const wheel = new WheelSteps();
    let steps = 0;
    for (let turn = 0; turn < 101; turn += 1) steps += wheel.notches({ deltaX: 0, deltaY }).wheel;
    assert.equal(steps, -deltaY);
  }
  assert.equal(new WheelSteps().notches({ deltaX: 0, deltaY: -10 }).wheel, 0);
});

test('a turn in the other axis is none in this, and the smallest turn back is one', () => {
  const turn = (wheel, event) => wheel.notches(event, { isSmooth: true });
  for (const way of [1, -1]) {
    const wheel = new WheelSteps();
    turn(wheel, { deltaX: 0, deltaY: 90 * way });
    turn(wheel, { deltaX: 50, deltaY: 0 });
    assert.equal(turn(wheel, { deltaX: 0, deltaY: 10 * way }).wheel, -way);
    turn(wheel, { deltaX: 0, deltaY: 50 * way });
    let back = 0;
    for (let count = 0; count < 101; count += 1) back += turn(wheel, { deltaX: 0, deltaY: -way }).wheel;
    assert.equal(back, way);
  }
});

// --- Fingers ---

const at = (x, y) => ({ x, y });

test('a tap moves and clicks', () => {
  const touch = new TouchGestures();
  assert.deepEqual(touch.down(1, at(5, 5), 0), [{ move: at(5, 5) }]);
  assert.deepEqual(touch.move(1, at(7, 7)), []);
  assert.deepEqual(touch.up(1), [{ click: 0 }]);
});

test('a long press is the right button, once', () => {
  const touch = new TouchGestures();
  touch.down(1, at(5, 5), 0);
  assert.deepEqual(touch.wait(LONG_PRESS_MS - 1), []);
  assert.deepEqual(touch.wait(LONG_PRESS_MS), [{ click: 2 }]);
  assert.deepEqual(touch.wait(LONG_PRESS_MS * 2), []);
  assert.deepEqual(touch.up(1), []);
});

test('a press is long after half a second, counted from its own begin', () => {
  assert.equal(LONG_PRESS_MS, 500);
  const touch = new TouchGestures();
  touch.down(1, at(5, 5), 1000);
  assert.deepEqual(touch.wait(1499), []);
  assert.deepEqual(touch.wait(1500), [{ click: 2 }]);
});

test('a tap that is over, or was taken away, is no long press', () => {
  for (const end of [(touch) => touch.up(1), (touch) => touch.cancel()]) {
    const touch = new TouchGestures();
    touch.down(1, at(5, 5), 0);
    end(touch);
    assert.deepEqual(touch.wait(LONG_PRESS_MS), []);
    assert.deepEqual(touch.up(1), []);
    assert.deepEqual(touch.move(1, at(50, 50)), []);
    assert.deepEqual(touch.down(2, at(9, 9), 0), [{ move: at(9, 9) }]);
    assert.deepEqual(touch.move(2, at(99, 99)), [{ move: at(99, 99) }]);
  }
  const touch = new TouchGestures();
  touch.down(1, at(5, 5), 0);
  touch.cancel();
  assert.deepEqual(touch.down(2, at(9, 9), 0), [{ move: at(9, 9) }]);
});

test('a finger trembles by less than twelve pixels', () => {
  const touch = new TouchGestures();
  touch.down(1, at(0, 0), 0);
  assert.deepEqual(touch.move(1, at(11.9, 0)), []);
  assert.deepEqual(touch.move(1, at(12, 0)), [{ move: at(12, 0) }]);
});

test('a finger that wanders moves the pointer and clicks nothing', () => {
  const touch = new TouchGestures();
  touch.down(1, at(0, 0), 0);
  assert.deepEqual(touch.move(1, at(50, 0)), [{ move: at(50, 0) }]);
  assert.deepEqual(touch.wait(LONG_PRESS_MS), []);
  assert.deepEqual(touch.up(1), []);
});

test('two fingers scroll by what the hand moves, step by step', () => {
  const touch = new TouchGestures();
  touch.down(1, at(100, 100), 0);
  touch.down(2, at(150, 100), 10);
  assert.deepEqual(touch.move(1, at(80, 60)), [{ scroll: { deltaX: 10, deltaY: 20 } }]);
  assert.deepEqual(touch.move(1, at(70, 50)), [{ scroll: { deltaX: 5, deltaY: 5 } }]);
});

test('two fingers scroll, and the one that stays longer does nothing', () => {
  const touch = new TouchGestures();
  touch.down(1, at(0, 100), 0);
  assert.deepEqual(touch.down(2, at(50, 100), 10), []);
  assert.deepEqual(touch.move(1, at(0, 80)), [{ scroll: { deltaX: 0, deltaY: 10 } }]);
  assert.deepEqual(touch.up(1), []);
  assert.deepEqual(touch.move(2, at(90, 90)), []);
  assert.deepEqual(touch.up(2), []);
  touch.down(3, at(0, 0), 20);
  assert.deepEqual(touch.up(3), [{ click: 0 }]);
});

// --- Who has the controls ---

const person = (number, name, more = {}) => ({ number, name, mayControl: true, asks: false, ...more });

test('who has the controls is said in words', () => {
  const people = [person(1, 'ann'), person(2, 'bob', { asks: true }), person(3, 'eve', { mayControl: false })];
  const state = { owner: 1, idle: false, usb: 'connected', people };
  assert.equal(describeControls(null, 1).control, 'offline');
  assert.equal(describeControls(state, 1).control, 'mine');
  assert.deepEqual(
    describeControls(state, 1).asking.map(({ name }) => name),
    ['bob'],
  );
  assert.equal(describeControls(state, 2).control, 'theirs');
  assert.equal(describeControls(state, 2).text, 'You asked ann for the controls');
  assert.deepEqual(describeControls(state, 2).asking, []);
  assert.equal(describeControls({ ...state, idle: true }, 3).text, 'ann has the controls but is idle');
  assert.equal(describeControls(state, 3).control, 'watching');
  assert.equal(describeControls({ ...state, owner: null }, 2).control, 'free');
});

test('who has the controls is said to each', () => {
  const people = [person(1, null), person(2, 'bob')];
  const said = (owner, me) => describeControls({ owner, idle: false, usb: 'connected', people }, me).text;
  assert.equal(said(2, 2), 'You have the controls');
  assert.equal(said(null, 2), 'Nobody has the controls');
  assert.equal(said(1, 2), 'provisioning has the controls');
  assert.equal(nameOf(people[1]), 'bob');
});

test('a USB side that is not there is said', () => {
  const state = { owner: null, idle: false, people: [] };
  assert.equal(describeControls({ ...state, usb: 'connected' }, 1).problem, '');
  for (const usb of ['silent', 'disconnected', 'missing']) {
    assert.match(describeControls({ ...state, usb }, 1).problem, /\.$/);
  }
});

// --- Combinations ---

test('combinations that the page brings are some', () => assert.ok(BUILT_IN.every(isCombination)));

test('a combination has one to six keys, as a hand has fingers and one more', () => {
  const keys = (count) => Array(count).fill('KeyA');
  assert.deepEqual(
    [0, 1, 6, 7].map((count) => isCombination(keys(count))),
    [false, true, true, false],
  );
});

test('combinations are called by what is on their keys', () => {
  assert.equal(describe(['ControlLeft', 'AltLeft', 'Delete', 'Digit1']), 'Ctrl + Alt + Del + 1');
});

test('AltGr of Windows is recorded as the one key that it is', () => {
  const recorder = new Recorder();
  recorder.press({ code: 'ShiftLeft', timeStamp: 0 });
  recorder.press({ code: 'ControlLeft', key: 'Control', timeStamp: 100 });
  recorder.press({ code: 'AltRight', key: 'AltGraph', timeStamp: 100 });
  recorder.release({ code: 'ShiftLeft' });
  assert.deepEqual(recorder.release({ code: 'AltRight' }), ['ShiftLeft', 'AltRight']);
});

test('a combination is recorded when all is let go', () => {
  const recorder = new Recorder();
  for (const code of ['ControlLeft', 'AltLeft', 'KeyX']) recorder.press({ code });
  assert.equal(recorder.release({ code: 'KeyX' }), null);
  assert.equal(recorder.release({ code: 'ControlLeft' }), null);
  assert.deepEqual(recorder.release({ code: 'AltLeft' }), ['ControlLeft', 'AltLeft', 'KeyX']);
});

for (const [what, events, codes] of [
  [
    'Alt and PrintScreen of Windows, which tells the release alone',
    ['+AltLeft', '-PrintScreen', '-AltLeft'],
    ['AltLeft', 'PrintScreen'],
  ],
  ['PrintScreen of Windows alone', ['-PrintScreen'], ['PrintScreen']],
  ['a key of an input method, with its press alone', ['+Lang1'], ['Lang1']],
  ['one that another goes with', ['+AltLeft', '+KanaMode', '-AltLeft'], ['AltLeft', 'KanaMode']],
]) {
  test(`${what}, is recorded`, () => {
    const recorder = new Recorder();
    const learned = events.map((event) =>
      event[0] === '+' ? recorder.press({ code: event.slice(1) }) : recorder.release({ code: event.slice(1) }),
    );
    assert.deepEqual(learned.at(-1), codes);
    assert.deepEqual(new Set(learned.slice(0, -1)), new Set(events.length > 1 ? [null] : []));
  });
}

// --- Paste ---

test('the layout is guessed from what the person reads', () => {
  const layouts = ['de', 'de-ch', 'en-gb', 'en-us', 'fr-be', 'pt-br'].map((id) => ({ id }));
  assert.equal(guessLayout(layouts, ['de-CH', 'en']), 'de-ch');
  assert.equal(guessLayout(layouts, ['de-AT']), 'de');
  assert.equal(guessLayout(layouts, ['en']), 'en-us');
  assert.equal(guessLayout(layouts, ['pt']), 'pt-br');
  assert.equal(guessLayout(layouts, ['xx']), 'en-us');
  // As browsers say it whose system has no language, or that say nothing.
  assert.equal(guessLayout(layouts, ['C', 'de_CH.UTF-8']), 'de-ch');
  for (const languages of [[], undefined, null, ['']]) assert.equal(guessLayout(layouts, languages), 'en-us');
});

test('layouts are called what people call them in their language', () => {
  const folder = new URL('../../roles/tinypilot/files/app/tinypilot/hid/layouts/', import.meta.url);
  const ids = readdirSync(folder).map((file) => file.replace('.json', ''));
  for (const language of ['en', 'de', 'ja']) {
    const names = ids.map((id) => layoutName(id, language));
    assert.equal(new Set(names).size, ids.length);
    for (const [index, name] of names.entries()) assert.notEqual(name.toLowerCase(), ids[index]);
  }
  assert.equal(layoutName('de-ch', 'de'), 'Deutsch (Schweiz)');
  assert.equal(layoutName('es-latam', 'en'), 'Spanish (Latin America)');
});

test('characters without a picture are named', () => {
  assert.equal(showCharacter('€'), '€');
  assert.equal(showCharacter('\u0007'), 'U+0007');
  assert.equal(showCharacter('\u200b'), 'U+200B');
  for (const unseen of ['\u3164', '\ufe0f', '\u034f', '\u2800', '\ufffc', '\ud800', '\u115f', '\u{e0020}'])
    assert.match(showCharacter(unseen), /^U\+[0-9A-F]{4,5}$/);
  // A mark needs something to stand on.
  assert.equal(showCharacter('\u0301'), '\u25cc\u0301');
});
