// SPDX-License-Identifier: MIT
// A keyboard of buttons: for fingers, and for keys that the person's own keyboard lacks. Each button
// is a physical key; modifiers stay down until another key was pressed.

import { isModifier } from './held-keys.js';

const ROWS = [
  ['Escape Esc', 'F1', 'F2', 'F3', 'F4', 'F5', 'F6', 'F7', 'F8', 'F9', 'F10', 'F11', 'F12', 'PrintScreen Print', 'ScrollLock Scroll', 'Pause'],
  ['Backquote ` ~', 'Digit1 1 !', 'Digit2 2 @', 'Digit3 3 #', 'Digit4 4 $', 'Digit5 5 %', 'Digit6 6 ^', 'Digit7 7 &', 'Digit8 8 *', 'Digit9 9 (', 'Digit0 0 )', 'Minus - _', 'Equal = +', 'Backspace ⌫', 'Insert Ins', 'Home', 'PageUp PgUp'],
  ['Tab', 'KeyQ', 'KeyW', 'KeyE', 'KeyR', 'KeyT', 'KeyY', 'KeyU', 'KeyI', 'KeyO', 'KeyP', 'BracketLeft [ {', 'BracketRight ] }', 'Backslash \\ |', 'Delete Del', 'End', 'PageDown PgDn'],
  ['CapsLock Caps', 'KeyA', 'KeyS', 'KeyD', 'KeyF', 'KeyG', 'KeyH', 'KeyJ', 'KeyK', 'KeyL', 'Semicolon ; :', "Quote ' \"", 'Enter'],
  ['ShiftLeft Shift', 'IntlBackslash < >', 'KeyZ', 'KeyX', 'KeyC', 'KeyV', 'KeyB', 'KeyN', 'KeyM', 'Comma , <', 'Period . >', 'Slash / ?', 'ShiftRight Shift', 'ArrowUp ↑'],
  ['ControlLeft Ctrl', 'MetaLeft Meta', 'AltLeft Alt', 'Space', 'AltRight AltGr', 'MetaRight Meta', 'ContextMenu Menu', 'ControlRight Ctrl', 'ArrowLeft ←', 'ArrowDown ↓', 'ArrowRight →'],
];
// Read aloud instead of the sign on the key.
const NAMES = {
  Backspace: 'Backspace', ArrowUp: 'Up', ArrowDown: 'Down', ArrowLeft: 'Left', ArrowRight: 'Right',
  ShiftLeft: 'Left Shift', ShiftRight: 'Right Shift', ControlLeft: 'Left Control', ControlRight: 'Right Control',
  MetaLeft: 'Left Meta', MetaRight: 'Right Meta', IntlBackslash: 'Key left of Z',
};

export function keyLabel(code) {
  const entry = ROWS.flat().find((each) => each.split(' ')[0] === code);
  return entry?.split(' ')[1] ?? code.replace(/^(Key|Digit)/, '');
}

// press(codes): the modifiers that are set, then the key
export function buildKeyboard(container, press) {
  const set = new Map(); // code -> button

  function toggle(code, button) {
    if (set.delete(code)) button.setAttribute('aria-pressed', 'false');
    else {
      set.set(code, button);
      button.setAttribute('aria-pressed', 'true');
    }
  }

  function use(code) {
    press([...set.keys(), code]);
    for (const button of set.values()) button.setAttribute('aria-pressed', 'false');
    set.clear();
  }

  for (const row of ROWS) {
    const line = document.createElement('div');
    line.className = 'keyboard-row';
    for (const entry of row) {
      const [code, ...signs] = entry.split(' ');
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'keyboard-key';
      button.dataset.code = code;
      button.textContent = signs.length > 0 ? signs.join(' ') : keyLabel(code);
      if (NAMES[code]) button.setAttribute('aria-label', NAMES[code]);
      if (isModifier(code)) {
        button.setAttribute('aria-pressed', 'false');
        button.addEventListener('click', () => toggle(code, button));
      } else {
        button.addEventListener('click', () => use(code));
      }
      line.append(button);
    }
    container.append(line);
  }
}
