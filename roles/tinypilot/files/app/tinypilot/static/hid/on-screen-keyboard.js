// SPDX-License-Identifier: MIT
// A keyboard of buttons: for fingers, and for keys that the person's own keyboard lacks. Each button
// is a physical key; modifiers stay down until another key was pressed.

import { t } from '../common/i18n.js';
import { isModifier } from './held-keys.js';

// Codes, with the signs that a US keyboard has on the key unless the code itself or LEGENDS say them.
const ROWS = [
  ['Escape', 'F1', 'F2', 'F3', 'F4', 'F5', 'F6', 'F7', 'F8', 'F9', 'F10', 'F11', 'F12', 'PrintScreen', 'ScrollLock', 'Pause'],
  ['Backquote ` ~', 'Digit1 1 !', 'Digit2 2 @', 'Digit3 3 #', 'Digit4 4 $', 'Digit5 5 %', 'Digit6 6 ^', 'Digit7 7 &', 'Digit8 8 *', 'Digit9 9 (', 'Digit0 0 )', 'Minus - _', 'Equal = +', 'Backspace ⌫', 'Insert', 'Home', 'PageUp'],
  ['Tab', 'KeyQ', 'KeyW', 'KeyE', 'KeyR', 'KeyT', 'KeyY', 'KeyU', 'KeyI', 'KeyO', 'KeyP', 'BracketLeft [ {', 'BracketRight ] }', 'Backslash \\ |', 'Delete', 'End', 'PageDown'],
  ['CapsLock', 'KeyA', 'KeyS', 'KeyD', 'KeyF', 'KeyG', 'KeyH', 'KeyJ', 'KeyK', 'KeyL', 'Semicolon ; :', "Quote ' \"", 'Enter'],
  ['ShiftLeft', 'IntlBackslash < >', 'KeyZ', 'KeyX', 'KeyC', 'KeyV', 'KeyB', 'KeyN', 'KeyM', 'Comma , <', 'Period . >', 'Slash / ?', 'ShiftRight', 'ArrowUp ↑'],
  ['ControlLeft', 'MetaLeft', 'AltLeft', 'Space', 'AltRight', 'MetaRight', 'ContextMenu', 'ControlRight', 'ArrowLeft ←', 'ArrowDown ↓', 'ArrowRight →'],
];
const LEGENDS = {
  Escape: 'Esc', PrintScreen: t('Print'), ScrollLock: t('Scroll'), Pause: 'Pause',
  Insert: t('Ins'), Delete: t('Del'), Home: t('Home'), End: t('End'), PageUp: t('PgUp'), PageDown: t('PgDn'),
  CapsLock: t('Caps'), Enter: t('Enter'), Space: t('Space'), ContextMenu: t('Menu'),
  ShiftLeft: t('Shift'), ShiftRight: t('Shift'), ControlLeft: t('Ctrl'), ControlRight: t('Ctrl'),
  AltLeft: 'Alt', AltRight: 'AltGr', MetaLeft: 'Meta', MetaRight: 'Meta',
};
// Read aloud instead of the sign on the key.
const NAMES = {
  Backspace: t('Backspace'), ArrowUp: t('Up'), ArrowDown: t('Down'), ArrowLeft: t('Left'), ArrowRight: t('Right'),
  ShiftLeft: t('Left Shift'), ShiftRight: t('Right Shift'),
  ControlLeft: t('Left Ctrl'), ControlRight: t('Right Ctrl'),
  MetaLeft: t('Left Meta'), MetaRight: t('Right Meta'), IntlBackslash: t('Key left of Z'),
};

const signsOf = new Map(ROWS.flat().map((entry) => [entry.split(' ')[0], entry.split(' ').slice(1)]));

// What the key is called in combinations.
export function keyLabel(code) {
  return LEGENDS[code] ?? signsOf.get(code)?.[0] ?? code.replace(/^(Key|Digit)/, '');
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
