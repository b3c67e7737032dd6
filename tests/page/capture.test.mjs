// SPDX-License-Identifier: MIT
// What keys and mouse over the picture say to the device.
import assert from 'node:assert/strict';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { Capture } = await import(new URL('capture.js', BASE));

// A page of which nothing but the picture is there. say(type, fields) of its device goes into `said`.
function makePage(t, { platform = 'Linux x86_64' } = {}) {
  const stage = Object.assign(new EventTarget(), { setPointerCapture() {} });
  const page = Object.assign(new EventTarget(), {
    activeElement: stage,
    pointerLockElement: null,
    hasFocus: () => true,
  });
  const before = Object.getOwnPropertyDescriptors(globalThis);
  globalThis.document = page;
  globalThis.addEventListener = page.addEventListener.bind(page);
  Object.defineProperty(globalThis, 'navigator', { value: { platform }, configurable: true });
  t.after(() => {
    for (const name of ['document', 'addEventListener', 'navigator']) {
      if (before[name]) Object.defineProperty(globalThis, name, before[name]);
      else delete globalThis[name];
    }
  });
  const said = [];
  const socket = { held: false, say: (type, fields = {}) => said.push({ type, ...fields }) };
  const screen = { width: 1280, height: 720, box: { left: 0, top: 0, width: 1280, height: 720 } };
  const capture = new Capture({ stage, screen, socket });
  capture.codes = new Set(['KeyA', 'CapsLock']);
  capture.enabled = true;
  const happen = (type, fields) => {
    const event = Object.assign(new Event(type, { cancelable: true }), fields);
    stage.dispatchEvent(event);
    return event;
  };
  return { capture, happen, said, socket };
}

test('a key that the computer would not know is left to the browser', (t) => {
  const { happen, said } = makePage(t);
  for (const type of ['keydown', 'keyup']) {
    for (const code of ['AudioVolumeUp', 'OSLeft', '']) {
      assert.equal(happen(type, { code }).defaultPrevented, false, `${type} of ${code}`);
    }
    assert.equal(happen(type, { code: 'KeyA' }).defaultPrevented, true);
  }
  assert.deepEqual(said, [
    { type: 'key', code: 'KeyA', down: true },
    { type: 'key', code: 'KeyA', down: false },
  ]);
});

for (const [platform, presses] of [['MacIntel', 2], ['Win32', 1]]) {
  test(`Caps Lock that is switched on and off is pressed as often as it must on ${platform}`, (t) => {
    const { happen, said, socket } = makePage(t, { platform });
    happen('keydown', { code: 'CapsLock' });
    assert.equal(socket.held, platform === 'Win32');
    happen('keyup', { code: 'CapsLock' });
    const all = Array(presses).fill([true, false]).flat();
    assert.deepEqual(said.map(({ down }) => down), all);
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
  assert.deepEqual(clicksIn(said), [[0, true], [1, true], [0, false], [1, false]]);
});

test('a button that was let go with the focus is pressed again by a press alone', (t) => {
  const { capture, happen, said } = makePage(t);
  happen('pointerdown', { ...at, buttons: 1 });
  capture.releaseAll();
  happen('pointermove', { ...at, buttons: 1 });
  happen('pointerup', { ...at, buttons: 0 });
  happen('pointerdown', { ...at, buttons: 1 });
  assert.deepEqual(clicksIn(said), [[0, true], [0, true]]);
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
