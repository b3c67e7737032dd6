// SPDX-License-Identifier: MIT
// What keys and mouse over the picture say to the device.
import assert from 'node:assert/strict';
import { describe as group, test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { Capture } = await import(new URL('capture.js', BASE));
const { identify } = await import(new URL('uncoded-keys.js', BASE));
const { LONG_PRESS_MS } = await import(new URL('touch-gestures.js', BASE));
const { positionOf } = await import(new URL('../video/picture-map.js', BASE));

// A page of which nothing but the picture is there. say(type, fields) of its device goes into `said`.
function makePage(t, navigator = { platform: 'Linux x86_64' }) {
  const did = [];
  const stage = Object.assign(new EventTarget(), {
    setPointerCapture: (id) => did.push(`capture ${id}`),
    blur: () => did.push('blur'),
  });
  const page = Object.assign(new EventTarget(), {
    activeElement: stage,
    pointerLockElement: null,
    hasFocus: () => true,
    exitPointerLock: () => did.push('unlock'),
  });
  const before = Object.getOwnPropertyDescriptors(globalThis);
  globalThis.document = page;
  globalThis.devicePixelRatio = 1;
  globalThis.addEventListener = page.addEventListener.bind(page);
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  t.after(() => {
    for (const name of ['document', 'addEventListener', 'navigator', 'devicePixelRatio']) {
      if (before[name]) Object.defineProperty(globalThis, name, before[name]);
      else delete globalThis[name];
    }
  });
  const said = [];
  const socket = { held: false, say: (type, fields = {}) => said.push({ type, ...fields }) };
  const screen = { width: 1280, height: 720, box: { left: 0, top: 0, width: 1280, height: 720 } };
  const capture = new Capture({ stage, screen, socket });
  for (const type of ['change', 'leave']) capture.addEventListener(type, () => did.push(type));
  capture.codes = new Set(['KeyA', 'CapsLock', 'ControlLeft', 'AltLeft', 'ShiftLeft']);
  capture.enabled = true;
  did.length = 0;
  const happen = (what, fields) => {
    const event = what instanceof Event ? what : new Event(what, { cancelable: true });
    // Not assigned: an event has a time of its own.
    for (const [name, value] of Object.entries(fields ?? {})) Object.defineProperty(event, name, { value });
    stage.dispatchEvent(event);
    return event;
  };
  return { capture, happen, page, said, screen, socket, stage, did };
}

for (const [what, navigator] of [
  ['nothing', {}],
  ['no language', { platform: '', language: null }],
  ['an empty language', { platform: 'MacIntel', language: '' }],
]) {
  test(`a browser that tells ${what} of itself types`, (t) => {
    const { said, happen } = makePage(t, navigator);
    happen('keydown', { code: 'KeyA', key: 'a' });
    assert.deepEqual(said, [{ type: 'key', code: 'KeyA', down: true }]);
  });
}

test('a key that the computer would not know is left to the browser', (t) => {
  const { happen, said } = makePage(t);
  for (const type of ['keydown', 'keyup']) {
    for (const code of ['AudioVolumeUp', 'BrowserBack', '']) {
      assert.equal(happen(type, { code }).defaultPrevented, false, `${type} of ${code}`);
    }
    assert.equal(happen(type, { code: 'KeyA' }).defaultPrevented, true);
  }
  assert.deepEqual(said, [
    { type: 'key', code: 'KeyA', down: true },
    { type: 'key', code: 'KeyA', down: false },
  ]);
});

test('a key without a place is pressed where it belongs, and typed where that depends on the layout', (t) => {
  const { capture, happen, said } = makePage(t);
  Object.assign(capture, { identify, layout: () => 'de' });
  const flags = { ctrlKey: false, altKey: false, metaKey: false, shiftKey: false };
  for (const type of ['keydown', 'keyup'])
    happen(type, { code: '', key: 'Control', ...flags, ctrlKey: type === 'keydown' });
  assert.equal(happen('keydown', { code: '', key: '@', ...flags }).defaultPrevented, true);
  happen('keydown', { code: '', key: 'c', ...flags, ctrlKey: true });
  happen('keydown', { code: '', key: '@', ...flags, ctrlKey: true, altKey: true });
  happen('keydown', { code: 'Unidentified', key: '\u20ac', ...flags, metaKey: true });
  happen('keydown', { code: '', key: 'Dead', ...flags });
  assert.deepEqual(said, [
    { type: 'key', code: 'ControlLeft', down: true },
    { type: 'key', code: 'ControlLeft', down: false },
    { type: 'characters', layout: 'de', text: '@', held: [] },
    { type: 'characters', layout: 'de', text: 'c', held: ['ControlLeft'] },
    { type: 'characters', layout: 'de', text: '@', held: [] },
    { type: 'characters', layout: 'de', text: '\u20ac', held: ['MetaLeft'] },
  ]);
});

for (const [code, platform, sent] of [
  ['OSLeft', 'Win32', 'MetaLeft'],
  ['OSRight', 'Linux x86_64', 'MetaRight'],
  ['Help', 'MacIntel', 'Insert'],
]) {
  test(`${code} of ${platform} is the key that others call ${sent}`, (t) => {
    const { capture, happen, said } = makePage(t, { platform });
    capture.codes = new Set([sent]);
    for (const type of ['keydown', 'keyup']) assert.equal(happen(type, { code, key: sent }).defaultPrevented, true);
    assert.deepEqual(
      said.map((each) => [each.code, each.down]),
      [
        [sent, true],
        [sent, false],
      ],
    );
  });
}

test('a key that browsers know by its character alone is typed when they tell of that, and once', (t) => {
  const { capture, happen, said } = makePage(t);
  Object.assign(capture, { identify, layout: () => 'de' });
  const none = { ctrlKey: false, altKey: false, metaKey: false, shiftKey: false, keyCode: 231 };
  // Of dictation, of AutoHotkey and the like.
  assert.equal(happen('keydown', { code: '', key: 'Unidentified', ...none }).defaultPrevented, false);
  assert.equal(happen('keypress', { code: '', key: '\u00e4', ...none }).defaultPrevented, true);
  happen('keypress', { code: '', key: 'Enter', ...none });
  happen('keypress', { code: '', key: ' ', ...none });
  // The browser's own: nobody's text.
  happen('keypress', { code: 'KeyX', key: 'x', ...none });
  happen('keypress', { code: '', key: 'Unidentified', ...none, keyCode: 97 });
  assert.deepEqual(
    said.map(({ type, text }) => [type, text]),
    [
      ['characters', '\u00e4'],
      ['characters', '\n'],
      ['characters', ' '],
    ],
  );
});

test('what is held when a character is typed is let go before, as the device does, and pressed with the next key', (t) => {
  const { capture, happen, said } = makePage(t);
  Object.assign(capture, { identify, layout: () => 'de' });
  const shift = { shiftKey: true, ctrlKey: false, altKey: false, metaKey: false };
  happen('keydown', { code: 'ShiftLeft', key: 'Shift', ...shift });
  happen('keydown', { code: '', key: '\u00c4', ...shift });
  happen('keydown', { code: 'KeyA', key: 'A', ...shift });
  const told = said.map(({ type, code, down }) => (type === 'key' ? (down ? '+' : '-') + code : type));
  assert.deepEqual(told, ['+ShiftLeft', '-ShiftLeft', 'characters', '+ShiftLeft', '+KeyA']);
});

test('a modifier of the on-screen keyboard goes with a character, and is held still', (t) => {
  const { capture, happen, said } = makePage(t);
  Object.assign(capture, { identify, layout: () => 'de' });
  capture.hold('ControlLeft', true);
  happen('keydown', { code: '', key: 'c', shiftKey: false, ctrlKey: false, altKey: false, metaKey: false });
  assert.deepEqual(said.slice(1), [
    { type: 'characters', layout: 'de', text: 'c', held: ['ControlLeft'] },
    { type: 'key', code: 'ControlLeft', down: true },
  ]);
});

for (const [platform, presses] of [
  ['MacIntel', 2],
  ['Win32', 1],
]) {
  test(`Caps Lock that is switched on and off is pressed as often as it must on ${platform}`, (t) => {
    const { happen, said, socket } = makePage(t, { platform });
    happen('keydown', { code: 'CapsLock' });
    assert.equal(socket.held, platform === 'Win32');
    happen('keyup', { code: 'CapsLock' });
    const all = Array(presses).fill([true, false]).flat();
    assert.deepEqual(
      said.map(({ down }) => down),
      all,
    );
  });
}

const clicksIn = (said) => said.filter(({ type }) => type === 'button').map(({ button, down }) => [button, down]);
const at = { pointerId: 1, pointerType: 'mouse', clientX: 100, clientY: 100 };

test('a button that was pressed elsewhere is not pressed on the computer', (t) => {
  const { happen, said } = makePage(t);
  happen('pointermove', { ...at, buttons: 1 });
  happen('pointermove', { ...at, buttons: 3 });
  happen('pointerup', { ...at, buttons: 0 });
  assert.deepEqual(clicksIn(said), []);
  assert.equal(said.filter(({ type }) => type === 'move').length, 3);
});

test('buttons that are pressed together come and go one by one', (t) => {
  const { happen, said, socket } = makePage(t);
  happen('pointerdown', { ...at, buttons: 1 });
  happen('pointermove', { ...at, buttons: 3 });
  happen('pointermove', { ...at, buttons: 2 });
  assert.equal(socket.held, true);
  happen('pointerup', { ...at, buttons: 0 });
  assert.equal(socket.held, false);
  happen('pointermove', { ...at, buttons: 1 });
  assert.deepEqual(clicksIn(said), [
    [0, true],
    [1, true],
    [0, false],
    [1, false],
  ]);
});

test('a button that was let go with the focus is pressed again by a press alone', (t) => {
  const { capture, happen, said } = makePage(t);
  happen('pointerdown', { ...at, buttons: 1 });
  capture.releaseAll();
  happen('pointermove', { ...at, buttons: 1 });
  happen('pointerup', { ...at, buttons: 0 });
  happen('pointerdown', { ...at, buttons: 1 });
  assert.deepEqual(clicksIn(said), [
    [0, true],
    [0, true],
  ]);
});

test('the click that asks for the controls is none on the computer', (t) => {
  const { capture, happen, said } = makePage(t);
  capture.enabled = false;
  happen('pointerdown', { ...at, buttons: 1 });
  capture.enabled = true;
  happen('pointermove', { ...at, buttons: 1 });
  happen('pointerup', { ...at, buttons: 0 });
  assert.deepEqual(clicksIn(said), []);
});

for (const [what, happens] of [
  ['the page is left', ({ page }) => page.dispatchEvent(new Event('pagehide'))],
  ['the browser takes the pointer away', ({ happen }) => happen('pointercancel', at)],
  ['the picture loses the focus', ({ happen }) => happen('blur', {})],
  ['the window loses the focus', ({ page }) => page.dispatchEvent(new Event('blur'))],
  [
    'the page is hidden',
    ({ page }) => Object.assign(page, { hidden: true }).dispatchEvent(new Event('visibilitychange')),
  ],
  ['the pointer is locked', ({ page }) => page.dispatchEvent(new Event('pointerlockchange'))],
]) {
  test(`everything is released when ${what}`, (t) => {
    const made = makePage(t);
    made.happen('keydown', { code: 'KeyA' });
    made.happen('pointerdown', { ...at, buttons: 1 });
    assert.equal(made.socket.held, true);
    happens(made);
    assert.deepEqual(made.said.at(-1), { type: 'release' });
    assert.equal(made.socket.held, false);
    // Once.
    happens(made);
    assert.equal(made.said.filter(({ type }) => type === 'release').length, 1);
  });
}

group('keys', () => {
  test("are nobody else's while they are captured", (t) => {
    const { happen } = makePage(t);
    for (const type of ['keydown', 'keyup']) {
      const event = Object.assign(new Event(type, { cancelable: true }), { code: 'KeyA' });
      t.mock.method(event, 'stopPropagation');
      happen(event);
      assert.equal(event.defaultPrevented, true);
      assert.equal(event.stopPropagation.mock.callCount(), 1);
    }
  });

  for (const [why, change] of [
    ['the page has no controls', ({ capture }) => Object.assign(capture, { enabled: false })],
    ['something else has the focus', ({ page }) => Object.assign(page, { activeElement: null })],
    ['the window has no focus', ({ page }) => Object.assign(page, { hasFocus: () => false })],
  ]) {
    test(`are the browser's while ${why}`, (t) => {
      const made = makePage(t);
      assert.equal(made.capture.isCapturing, true);
      change(made);
      assert.equal(made.capture.isCapturing, false);
      for (const type of ['keydown', 'keyup']) {
        assert.equal(made.happen(type, { code: 'KeyA' }).defaultPrevented, false);
      }
      assert.deepEqual(made.said, []);
    });
  }

  test('are given back by the chord, with all that is held', (t) => {
    const { happen, page, stage, did, said, socket } = makePage(t);
    page.pointerLockElement = stage;
    happen('pointerdown', { ...at, buttons: 1 });
    const chord = ['ControlLeft', 'AltLeft', 'ShiftLeft'];
    for (const code of chord) happen('keydown', { code });
    happen('keyup', { code: 'ShiftLeft' });
    assert.deepEqual(said.at(-1), { type: 'release' });
    assert.equal(socket.held, false);
    assert.deepEqual(did, ['unlock', 'blur', 'leave']);
  });

  test('are given back without a word of a pointer that was not locked', (t) => {
    const { capture, did } = makePage(t);
    capture.leave();
    assert.deepEqual(did, ['blur', 'leave']);
  });

  test('alone are released, too', (t) => {
    const { capture, happen, said } = makePage(t);
    happen('keydown', { code: 'KeyA' });
    capture.releaseAll();
    assert.deepEqual(said.at(-1), { type: 'release' });
  });
});

test('a character that needs AltGr on the computer is typed with it', (t) => {
  const { capture, happen, said } = makePage(t);
  capture.altGrCharacters = { KeyA: ['@', ''] };
  const flags = { shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, repeat: false };
  happen('keydown', { ...flags, code: 'KeyA', key: '@', getModifierState: () => false });
  assert.deepEqual(
    said.map(({ code }) => code),
    ['AltRight', 'KeyA'],
  );
});

group('the controls', () => {
  test('that are lost release everything, and the pointer', (t) => {
    const { capture, happen, page, stage, did, said } = makePage(t);
    happen('pointerdown', { ...at, buttons: 1 });
    page.pointerLockElement = stage;
    did.length = 0;
    capture.enabled = true;
    assert.deepEqual(did, ['change']);
    assert.notEqual(said.at(-1).type, 'release');
    capture.enabled = false;
    assert.deepEqual(said.at(-1), { type: 'release' });
    assert.deepEqual(did, ['change', 'unlock', 'change']);
  });

  test('that this page never had are nothing to release', (t) => {
    const { capture, happen, said, did } = makePage(t);
    capture.enabled = false;
    happen('pointermove', { ...at, buttons: 0 });
    happen('wheel', { deltaX: 0, deltaY: 100 });
    assert.equal(happen('wheel', { deltaX: 0, deltaY: 100 }).defaultPrevented, false);
    assert.deepEqual(said, []);
    assert.deepEqual(did, ['change']);
  });

  test('are not there before somebody says so', (t) => {
    const { stage, socket } = makePage(t);
    const fresh = new Capture({ stage, screen: {}, socket });
    assert.equal(fresh.isCapturing, false);
  });
});

test('whether keys are captured is told whenever it may have changed', (t) => {
  const { happen, page, did } = makePage(t);
  const changes = [
    () => happen('focus', {}),
    () => happen('blur', {}),
    () => page.dispatchEvent(new Event('focus')),
    () => page.dispatchEvent(new Event('blur')),
    () => page.dispatchEvent(new Event('pointerlockchange')),
  ];
  for (const change of changes) change();
  assert.deepEqual(did, Array(changes.length).fill('change'));
});

test('the browser has no menu and no click of its own over the picture', (t) => {
  const { happen } = makePage(t);
  assert.equal(happen('contextmenu', {}).defaultPrevented, true);
  assert.equal(happen('auxclick', {}).defaultPrevented, true);
});

group('the mouse', () => {
  test('moves to the place that it is at, and is kept while a button is down', (t) => {
    const { happen, said, did } = makePage(t);
    happen('pointerdown', { ...at, buttons: 1 });
    const place = positionOf({ x: 100, y: 100 }, { left: 0, top: 0, width: 1280, height: 720 }, 1280, 720);
    assert.deepEqual(said[0], { type: 'move', ...place });
    assert.deepEqual(said[1], { type: 'button', button: 0, down: true, relative: false });
    assert.deepEqual(did, ['capture 1']);
  });

  test('has five buttons', (t) => {
    const { happen, said } = makePage(t);
    // A pen may have more.
    happen('pointerdown', { ...at, buttons: 63 });
    assert.deepEqual(
      clicksIn(said).map(([button]) => button),
      [0, 1, 2, 3, 4],
    );
  });

  test('is held on the computer from the press on', (t) => {
    const { happen, socket } = makePage(t);
    happen('pointerdown', { ...at, buttons: 1 });
    assert.equal(socket.held, true);
  });

  for (const [platform, notches] of [
    ['Win32', 3],
    ['MacIntel', 1],
  ]) {
    test(`has ${notches} notches in what 150 px of a sharp screen are on ${platform}`, (t) => {
      const { happen, said } = makePage(t, { platform });
      globalThis.devicePixelRatio = 2;
      happen('wheel', { deltaX: 0, deltaY: 150 });
      assert.deepEqual(said, [{ type: 'wheel', wheel: -notches, pan: 0, relative: false }]);
    });
  }

  test('has no place where there is no picture', (t) => {
    const { capture, happen, said, screen } = makePage(t);
    screen.width = 0;
    happen('pointermove', { ...at, buttons: 0 });
    assert.deepEqual(said, []);
    assert.equal(capture.isRelative, false);
  });

  test("on a scrollbar is the browser's", (t) => {
    const { happen, said, did } = makePage(t);
    happen('pointerdown', { ...at, clientX: 1280, buttons: 1 });
    happen('pointerdown', { ...at, clientY: 720, buttons: 1 });
    assert.deepEqual([said, did], [[], []]);
    happen('pointerdown', { ...at, clientX: 1279, clientY: 719, buttons: 1 });
    assert.deepEqual(clicksIn(said), [[0, true]]);
  });

  test('that is locked goes by steps, within what a report holds', (t) => {
    const { capture, happen, page, stage, said, did } = makePage(t);
    page.pointerLockElement = stage;
    assert.equal(capture.isRelative, true);
    const move = (movementX, movementY) => happen('pointermove', { ...at, buttons: 0, movementX, movementY });
    move(3.4, 0);
    move(0, -7.6);
    move(9000, -9000);
    move(0, 0);
    assert.deepEqual(said, [
      { type: 'step', x: 3, y: 0 },
      { type: 'step', x: 0, y: -8 },
      { type: 'step', x: 4096, y: -4096 },
    ]);
    said.length = 0;
    happen('pointerdown', { ...at, buttons: 1, movementX: 5, movementY: 5 });
    assert.deepEqual(said, [{ type: 'button', button: 0, down: true, relative: true }]);
    assert.deepEqual(did, []);
  });

  test('turns its wheel instead of the page', (t) => {
    const { happen, page, stage, said } = makePage(t);
    assert.equal(happen('wheel', { deltaX: 0, deltaY: 100 }).defaultPrevented, true);
    happen('wheel', { deltaX: 0, deltaY: 10 });
    page.pointerLockElement = stage;
    happen('wheel', { deltaX: 100, deltaY: 0 });
    assert.deepEqual(said, [
      { type: 'wheel', wheel: -1, pan: 0, relative: false },
      { type: 'wheel', wheel: 0, pan: 1, relative: true },
    ]);
  });

  test('has its wheel listened to by who may prevent the page from scrolling', (t) => {
    const { socket } = makePage(t);
    const stage = new EventTarget();
    t.mock.method(stage, 'addEventListener');
    new Capture({ stage, screen: {}, socket });
    const [, , options] = stage.addEventListener.mock.calls
      .map((call) => call.arguments)
      .find(([type]) => type === 'wheel');
    assert.equal(options.passive, false);
  });
});

group('a finger', () => {
  const finger = { ...at, pointerId: 7, pointerType: 'touch', timeStamp: 0 };

  test('taps', (t) => {
    const { happen, said, did } = makePage(t);
    happen('pointerdown', finger);
    assert.equal(said[0].type, 'move');
    happen('pointerup', finger);
    assert.deepEqual(clicksIn(said), [
      [0, true],
      [0, false],
    ]);
    assert.ok(said.slice(1).every(({ relative }) => relative === false));
    assert.deepEqual(did, []);
  });

  test('drags the pointer without a click', (t) => {
    const { happen, said } = makePage(t);
    happen('pointerdown', finger);
    happen('pointermove', { ...finger, clientX: 300 });
    happen('pointerup', finger);
    assert.deepEqual(
      said.map(({ type }) => type),
      ['move', 'move'],
    );
  });

  test('that stays is the right button', (t) => {
    const { happen, said } = makePage(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    t.mock.method(performance, 'now', () => LONG_PRESS_MS);
    happen('pointerdown', finger);
    t.mock.timers.tick(LONG_PRESS_MS - 1);
    assert.deepEqual(clicksIn(said), []);
    t.mock.timers.tick(1);
    assert.deepEqual(clicksIn(said), [
      [1, true],
      [1, false],
    ]);
  });

  test('beside another scrolls', (t) => {
    const { happen, said } = makePage(t);
    happen('pointerdown', finger);
    happen('pointerdown', { ...finger, pointerId: 8 });
    happen('pointermove', { ...finger, clientY: 700 });
    assert.equal(said.at(-1).type, 'wheel');
  });

  test('beside another scrolls by what both have moved, and by nothing more', (t) => {
    const { happen, said } = makePage(t);
    happen('pointerdown', finger);
    happen('pointerdown', { ...finger, pointerId: 8 });
    for (const clientY of [160, 220, 280, 340]) happen('pointermove', { ...finger, clientY });
    assert.deepEqual(
      said.filter(({ type }) => type === 'wheel').map(({ wheel }) => wheel),
      [1],
    );
  });

  test('that drags after a tap holds the button where it is', (t) => {
    const { happen, said, socket } = makePage(t);
    happen('pointerdown', finger);
    happen('pointerup', finger);
    happen('pointerdown', finger);
    happen('pointermove', { ...finger, clientX: 300 });
    assert.equal(socket.held, true);
    happen('pointerup', finger);
    assert.equal(socket.held, false);
    const buttons = said.filter(({ type }) => type === 'button');
    assert.deepEqual(
      buttons.map(({ down, relative }) => [down, relative]),
      [true, false, true, false].map((down) => [down, false]),
    );
  });

  test('that is taken away clicks nothing', (t) => {
    const { happen, said } = makePage(t);
    happen('pointerdown', finger);
    happen('pointercancel', finger);
    happen('pointerup', finger);
    assert.deepEqual(clicksIn(said), []);
  });

  test('does nothing without the controls', (t) => {
    const { capture, happen, said } = makePage(t);
    capture.enabled = false;
    happen('pointerdown', finger);
    happen('pointerup', finger);
    assert.deepEqual(said, []);
  });
});
