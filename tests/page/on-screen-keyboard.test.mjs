// SPDX-License-Identifier: MIT
// The on-screen keyboard: what its buttons say to the device, and what they show.
import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeElement } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
globalThis.document = {
  documentElement: { lang: 'en' },
  createElement: () => new FakeElement(),
  getElementById: () => ({ textContent: '' }),
};
const { OnScreenKeyboard } = await import(new URL('on-screen-keyboard.js', BASE));

function shown() {
  const said = [];
  const container = new FakeElement();
  const keyboard = new OnScreenKeyboard(container, {
    press: (codes) => said.push(codes.join('+')),
    hold: (code, down) => said.push(`${code} ${down ? 'down' : 'up'}`),
  });
  const buttons = container.children.flatMap(({ children }) => children.flatMap((row) => row.children));
  const button = (code) => buttons.find(({ dataset }) => dataset.code === code);
  const click = (code) => {
    button(code).click();
    return said.splice(0).join(', ');
  };
  return { button, buttons, click, container, keyboard };
}

test('a key is pressed, with the modifiers that were clicked before', () => {
  const { button, click } = shown();
  assert.equal(click('KeyQ'), 'KeyQ');
  assert.equal(click('ControlLeft'), '');
  assert.equal(click('ShiftRight'), '');
  assert.equal(button('ControlLeft').attributes['aria-pressed'], 'true');
  assert.equal(click('KeyQ'), 'ControlLeft+ShiftRight+KeyQ');
  assert.equal(button('ControlLeft').attributes['aria-pressed'], 'false');
  assert.equal(click('KeyQ'), 'KeyQ');
});

test('a modifier that is clicked twice is held until it is clicked again', () => {
  const { button, click } = shown();
  assert.deepEqual([click('AltLeft'), click('AltLeft')], ['', 'AltLeft down']);
  assert.equal(button('AltLeft').dataset.held, 'true');
  assert.equal(click('Tab'), 'Tab');
  assert.equal(click('Tab'), 'Tab');
  assert.equal(button('AltLeft').attributes['aria-pressed'], 'true');
  assert.equal(click('AltLeft'), 'AltLeft up');
  assert.equal(button('AltLeft').attributes['aria-pressed'], 'false');
  assert.equal(button('AltLeft').dataset.held, 'false');
});

test('what was let go with all else is no longer shown as held', () => {
  const { button, click, keyboard } = shown();
  click('AltLeft');
  click('AltLeft');
  click('ShiftLeft');
  keyboard.letGo();
  assert.equal(button('AltLeft').attributes['aria-pressed'], 'false');
  assert.equal(click('KeyA'), 'ShiftLeft+KeyA');
  assert.equal(click('AltLeft'), '');
});

test('it has a numeric pad, and shows the locks of the computer', () => {
  const { button, click, keyboard } = shown();
  for (const code of [...'0123456789'].map((digit) => `Numpad${digit}`)) assert.equal(click(code), code);
  assert.equal(click('NumLock'), 'NumLock');
  for (const [leds, on] of [
    [1, 'NumLock'],
    [2, 'CapsLock'],
    [4, 'ScrollLock'],
  ]) {
    keyboard.leds = leds;
    const lit = ['NumLock', 'CapsLock', 'ScrollLock'].filter(
      (code) => button(code).attributes['aria-pressed'] === 'true',
    );
    assert.deepEqual(lit, [on]);
  }
});

test('no two keys are called the same', () => {
  const { buttons } = shown();
  const names = buttons.map(({ attributes, textContent }) => attributes['aria-label'] ?? textContent);
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
  assert.equal(new Set(buttons.map(({ dataset }) => dataset.code)).size, buttons.length);
});

test('it leaves the focus where it is', () => {
  const { container } = shown();
  const event = new Event('mousedown', { cancelable: true });
  container.dispatchEvent(event);
  assert.equal(event.defaultPrevented, true);
});
