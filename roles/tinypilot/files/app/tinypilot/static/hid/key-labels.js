// SPDX-License-Identifier: MIT
// What keys are called in combinations and on the on-screen keyboard.

import { t } from '../common/i18n.js';

const LEGENDS = {
  Escape: 'Esc',
  PrintScreen: t('Print'),
  ScrollLock: t('Scroll'),
  Pause: 'Pause',
  Insert: t('Ins'),
  Delete: t('Del'),
  Home: t('Home'),
  End: t('End'),
  PageUp: t('PgUp'),
  PageDown: t('PgDn'),
  CapsLock: t('Caps'),
  Enter: t('Enter'),
  Space: t('Space'),
  ContextMenu: t('Menu'),
  ShiftLeft: t('Shift'),
  ShiftRight: t('Shift'),
  ControlLeft: t('Ctrl'),
  ControlRight: t('Ctrl'),
  AltLeft: 'Alt',
  AltRight: 'AltGr',
  MetaLeft: 'Meta',
  MetaRight: 'Meta',
  NumLock: t('Num'),
};
// As a US keyboard has them.
const SIGNS = [
  ['Backquote', '`'],
  ['Minus', '-'],
  ['Equal', '='],
  ['Backspace', '\u232b'],
  ['BracketLeft', '['],
  ['BracketRight', ']'],
  ['Backslash', '\\'],
  ['Semicolon', ';'],
  ['Quote', "'"],
  ['IntlBackslash', '<'],
  ['Comma', ','],
  ['Period', '.'],
  ['Slash', '/'],
  ['ArrowUp', '\u2191'],
  ['ArrowLeft', '\u2190'],
  ['ArrowDown', '\u2193'],
  ['ArrowRight', '\u2192'],
];
const signs = new Map(SIGNS);

export function keyLabel(code) {
  return LEGENDS[code] ?? signs.get(code) ?? code.replace(/^(Key|Digit)/, '');
}
