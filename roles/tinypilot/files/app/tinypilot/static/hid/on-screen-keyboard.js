// SPDX-License-Identifier: MIT
// A keyboard of buttons: for fingers, and for keys that the person's own keyboard lacks. Each button is a physical
// key. A modifier goes with the next key; clicked twice it is held until it is clicked again. Loaded when it is opened.

import { t } from '../common/i18n.js';
import { isModifier } from './held-keys.js';
import { keyLabel } from './key-labels.js';

// Codes, with the signs that a US keyboard has on the key unless its label says them.
// biome-ignore format: a row of keys is a line
const ROWS = [
  ['Escape', 'F1', 'F2', 'F3', 'F4', 'F5', 'F6', 'F7', 'F8', 'F9', 'F10', 'F11', 'F12', 'PrintScreen', 'ScrollLock', 'Pause'],
  ['Backquote ` ~', 'Digit1 1 !', 'Digit2 2 @', 'Digit3 3 #', 'Digit4 4 $', 'Digit5 5 %', 'Digit6 6 ^', 'Digit7 7 &', 'Digit8 8 *', 'Digit9 9 (', 'Digit0 0 )', 'Minus - _', 'Equal = +', 'Backspace ⌫', 'Insert', 'Home', 'PageUp'],
  ['Tab', 'KeyQ', 'KeyW', 'KeyE', 'KeyR', 'KeyT', 'KeyY', 'KeyU', 'KeyI', 'KeyO', 'KeyP', 'BracketLeft [ {', 'BracketRight ] }', 'Backslash \\ |', 'Delete', 'End', 'PageDown'],
  ['CapsLock', 'KeyA', 'KeyS', 'KeyD', 'KeyF', 'KeyG', 'KeyH', 'KeyJ', 'KeyK', 'KeyL', 'Semicolon ; :', "Quote ' \"", 'Enter'],
  ['ShiftLeft', 'IntlBackslash < >', 'KeyZ', 'KeyX', 'KeyC', 'KeyV', 'KeyB', 'KeyN', 'KeyM', 'Comma , <', 'Period . >', 'Slash / ?', 'ShiftRight', 'ArrowUp ↑'],
  ['ControlLeft', 'MetaLeft', 'AltLeft', 'Space', 'AltRight', 'MetaRight', 'ContextMenu', 'ControlRight', 'ArrowLeft ←', 'ArrowDown ↓', 'ArrowRight →'],
];
const PAD = [
  ['NumLock', 'NumpadDivide /', 'NumpadMultiply *', 'NumpadSubtract -'],
  ['Numpad7 7', 'Numpad8 8', 'Numpad9 9', 'NumpadAdd +'],
  ['Numpad4 4', 'Numpad5 5', 'Numpad6 6', 'NumpadComma ,'],
  ['Numpad1 1', 'Numpad2 2', 'Numpad3 3', 'NumpadEqual ='],
  ['Numpad0 0', 'NumpadDecimal .', 'NumpadEnter \u21b5'],
];
// Of the LEDs, as a computer sends them.
const LOCKS = { NumLock: 1, CapsLock: 2, ScrollLock: 4 };
// Read aloud instead of the sign on the key.
const NAMES = {
  Backspace: t('Backspace'),
  ArrowUp: t('Up'),
  ArrowDown: t('Down'),
  ArrowLeft: t('Left'),
  ArrowRight: t('Right'),
  ShiftLeft: t('Left Shift'),
  ShiftRight: t('Right Shift'),
  ControlLeft: t('Left Ctrl'),
  ControlRight: t('Right Ctrl'),
  MetaLeft: t('Left Meta'),
  MetaRight: t('Right Meta'),
  IntlBackslash: t('Key left of Z'),
  NumLock: 'Num Lock',
  CapsLock: 'Caps Lock',
  ScrollLock: 'Scroll Lock',
};

const nameOf = (code, label) =>
  NAMES[code] ?? (/^Numpad/.test(code) ? t('{key} of the numeric pad', { key: label }) : null);

export class OnScreenKeyboard {
  #sticky = new Set();
  #held = new Set();
  #buttons = new Map(); // code -> button
  #press;
  #hold;

  // press(codes): the modifiers that are set, then the key; hold(code, down)
  constructor(container, { press, hold }) {
    this.#press = press;
    this.#hold = hold;
    // A button that took the focus from the picture would let go of all that is held.
    container.addEventListener('mousedown', (event) => event.preventDefault());
    container.append(this.#block('keyboard-keys', ROWS), this.#block('keyboard-pad', PAD));
  }

  // Those of the attached computer.
  set leds(leds) {
    for (const [code, bit] of Object.entries(LOCKS)) this.#show(code, Boolean(leds & bit));
  }

  // All that is held was let go.
  letGo() {
    for (const code of this.#held) this.#show(code, false);
    this.#held.clear();
  }

  #block(name, rows) {
    const block = document.createElement('div');
    block.className = name;
    for (const row of rows) {
      const line = document.createElement('div');
      line.className = 'keyboard-row';
      line.append(...row.map((entry) => this.#key(entry)));
      block.append(line);
    }
    return block;
  }

  #key(entry) {
    const [code, ...signs] = entry.split(' ');
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'keyboard-key';
    button.dataset.code = code;
    button.textContent = signs.length > 0 ? signs.join(' ') : keyLabel(code);
    const name = nameOf(code, button.textContent);
    if (name) button.setAttribute('aria-label', name);
    this.#buttons.set(code, button);
    if (isModifier(code) || code in LOCKS) button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', () => (isModifier(code) ? this.#turn(code) : this.#use(code)));
    return button;
  }

  // With the next key, held, not at all.
  #turn(code) {
    if (this.#held.delete(code)) {
      this.#hold(code, false);
      this.#show(code, false);
    } else if (this.#sticky.delete(code)) {
      this.#held.add(code);
      this.#hold(code, true);
      this.#show(code, true, true);
    } else {
      this.#sticky.add(code);
      this.#show(code, true);
    }
  }

  #use(code) {
    this.#press([...this.#sticky, code]);
    for (const each of this.#sticky) this.#show(each, false);
    this.#sticky.clear();
  }

  #show(code, isOn, isHeld = false) {
    const button = this.#buttons.get(code);
    button.setAttribute('aria-pressed', String(isOn));
    button.dataset.held = String(isHeld);
    if (isModifier(code)) button.title = isHeld ? t('Held until it is clicked again') : '';
  }
}
