// SPDX-License-Identifier: MIT
// Keys without a place, and a phone's own keyboard.
import assert from 'node:assert/strict';
import test from 'node:test';
import { FakeElement } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { identify } = await import(new URL('uncoded-keys.js', BASE));
const { changeOf, openSoftKeyboard } = await import(new URL('soft-keyboard.js', BASE));

for (const [event, found] of [
  [{ key: 'Enter' }, { code: 'Enter' }],
  [{ key: 'Enter', location: 3 }, { code: 'NumpadEnter' }],
  [{ key: '7', location: 3 }, { code: 'Numpad7' }],
  [{ key: '7' }, { character: '7' }],
  [{ key: '+', location: 3 }, { code: 'NumpadAdd' }],
  [{ key: 'Home', location: 3 }, { code: 'Numpad7' }],
  [{ key: 'F13' }, { code: 'F13' }],
  [{ key: 'F24', keyCode: 135 }, { code: 'F24' }],
  [{ key: 'F25' }, null],
  [{ key: 'Shift' }, { code: 'ShiftLeft' }],
  [{ key: 'Shift', location: 2 }, { code: 'ShiftRight' }],
  [{ key: 'OS' }, { code: 'MetaLeft' }],
  [{ key: 'AltGraph' }, { code: 'AltRight' }],
  [{ key: ' ' }, { code: 'Space' }],
  [{ key: '\r' }, { code: 'Enter' }],
  [{ key: '\b' }, { code: 'Backspace' }],
  [{ key: 'ß' }, { character: 'ß' }],
  [{ key: '\u{1f600}' }, { character: '\u{1f600}' }],
  [{ key: 'HangulMode' }, { code: 'Lang1' }],
  [{ key: 'ZenkakuHankaku' }, { code: 'Backquote' }],
  [{ key: 'Zenkaku' }, { code: 'Backquote' }],
  [{ key: 'Hangul' }, { code: 'Lang1' }],
  [{ key: 'Esc', keyCode: 27 }, { code: 'Escape' }],
  [{ key: 'Left', keyCode: 37 }, { code: 'ArrowLeft' }],
  [{ key: 'Left', location: 3 }, { code: 'Numpad4' }],
  [{ key: 'Del' }, { code: 'Delete' }],
  [{ key: 'Spacebar' }, { code: 'Space' }],
  [{ key: 'Win' }, { code: 'MetaLeft' }],
  [{ key: 'Super', location: 2 }, { code: 'MetaRight' }],
  [{ key: 'Apps' }, { code: 'ContextMenu' }],
  [{ key: 'Scroll' }, { code: 'ScrollLock' }],
  [{ key: 'Multiply' }, { code: 'NumpadMultiply' }],
  [{ key: 'Clear' }, { code: 'Numpad5' }],
  [{ key: 'Clear', location: 3 }, { code: 'Numpad5' }],
  [{ key: 'Unidentified', keyCode: 188 }, { code: 'Comma' }],
  [{ key: 'Unidentified', keyCode: 192 }, { code: 'Backquote' }],
  [{ key: 'Unidentified', keyCode: 193 }, null],
  [{ key: 'Unidentified', keyCode: 218 }, null],
  [{ key: 'Unidentified', keyCode: 219 }, { code: 'BracketLeft' }],
  [{ key: 'Unidentified', keyCode: 222 }, { code: 'Quote' }],
  [{ key: '\u{1f44d}\u{1f3fd}' }, { character: '\u{1f44d}\u{1f3fd}' }],
  [{ key: '\u{1f1ea}\u{1f1fa}' }, { character: '\u{1f1ea}\u{1f1fa}' }],
  [{ key: 'e\u0301' }, { character: 'e\u0301' }],
  [{ key: '_' }, { character: '_' }],
  // As iPads say of keys that type nothing.
  [{ key: 'UIKeyInputEscape' }, { code: 'Escape' }],
  [{ key: 'UIKeyInputUpArrow' }, { code: 'ArrowUp' }],
  [{ key: 'UIKeyInputLeftArrow' }, { code: 'ArrowLeft' }],
  [{ key: 'UIKeyInputF5' }, { code: 'F5' }],
  [{ key: 'UIKeyInputPageDown' }, { code: 'PageDown' }],
  [{ key: 'UIKeyInputHome' }, { code: 'Home' }],
  [{ key: 'UIKeyInputNew' }, null],
  // Pause with Ctrl.
  [{ key: 'Cancel', keyCode: 3 }, { code: 'Pause' }],
  [{ key: 'Menu' }, { code: 'ContextMenu' }],
  [{ key: 'Undo' }, null],
  [{ key: 'Dead' }, null],
  [{ key: 'Process', keyCode: 229 }, null],
  [{ key: 'Unidentified', keyCode: 229 }, null],
  [{ key: 'Unidentified', keyCode: 65 }, { code: 'KeyA' }],
  [{ key: 'Unidentified', keyCode: 90 }, { code: 'KeyZ' }],
  [{ key: 'Unidentified', keyCode: 48 }, { code: 'Digit0' }],
  [{ keyCode: 57 }, { code: 'Digit9' }],
  [{ keyCode: 96 }, { code: 'Numpad0' }],
  [{ keyCode: 105 }, { code: 'Numpad9' }],
  [{ keyCode: 112 }, { code: 'F1' }],
  [{ keyCode: 135 }, { code: 'F24' }],
  [{ keyCode: 136 }, null],
  [{ keyCode: 8 }, { code: 'Backspace' }],
  [{}, null],
]) {
  test(`${JSON.stringify(event)} is ${JSON.stringify(found)}`, () => assert.deepEqual(identify(event), found));
}

test('what changed at the end of a text is erased and typed', () => {
  for (const [before, after, erase, text] of [
    ['', 'a', 0, 'a'],
    ['ab', 'a', 1, ''],
    ['qzh', 'qhz', 2, 'hz'],
    ['a\u{1f600}', 'ab', 1, 'b'],
    ['same', 'same', 0, ''],
  ])
    assert.deepEqual(changeOf(before, after), { erase, text });
});

// A field that keeps a text, as a phone's keyboard changes it.
function softKeyboard() {
  const said = [];
  const field = new FakeElement({
    setSelectionRange: () => {},
    focus() {
      this.dispatchEvent(new Event('focus'));
    },
  });
  const say = (type, fields) => said.push(type === 'characters' ? fields.text : fields.codes.join());
  const open = () => openSoftKeyboard(field, { say, layout: () => 'de' });
  open();
  const change = (text, isComposing = false) => {
    field.value = text;
    field.dispatchEvent(Object.assign(new Event('input'), { isComposing }));
    return said.splice(0);
  };
  return { change, field, open };
}

test("a phone's keyboard types, completes and corrects", () => {
  const { change, field, open } = softKeyboard();
  const begin = field.value;
  assert.deepEqual(change(`${begin}q`, true), ['q']);
  assert.deepEqual(change(`${begin}qzh`, true), ['zh']);
  assert.deepEqual(change(`${begin}qhz `), ['Backspace', 'Backspace', 'hz ']);
  open();
  assert.deepEqual(change(`${begin}a`), ['a'], 'opened again it types once');
});

test('it erases what was there before, too, and never runs out of it', () => {
  const { change, field } = softKeyboard();
  for (let count = 0; count < 100; count += 1) assert.deepEqual(change(field.value.slice(0, -1)), ['Backspace']);
});

test('a line break begins anew, but not within a word that is being composed', () => {
  const { change, field } = softKeyboard();
  const begin = field.value;
  assert.deepEqual(change(`${begin}ls\n`, true), ['ls\n']);
  assert.notEqual(field.value, begin);
  assert.deepEqual(change(`${begin}ls\nx\n`), ['x\n']);
  assert.equal(field.value, begin);
});

test('a letter with marks is one letter, as the device types it, however the phone writes it', () => {
  const { change, field } = softKeyboard();
  const begin = field.value;
  assert.deepEqual(change(`${begin}e`, true), ['e']);
  assert.deepEqual(change(`${begin}e\u0301`, true), ['Backspace', '\u00e9']);
  assert.deepEqual(change(begin), ['Backspace']);
});

for (const [what, written, typed] of [
  ['quotes', 'echo \u201cit\u2019s\u201d', 'echo "it\'s"'],
  ['German quotes', '\u201ea\u201c \u201ab\u2018', '"a" \'b\''],
  ['a dash of two hyphens', 'ls \u2014all', 'ls --all'],
  ['dots', 'cd \u2026', 'cd ...'],
  ['a narrow space', 'a\u202fb', 'a b'],
  ['the place of what is being dictated', '\ufffcword', 'word'],
  ['marks of direction', '\u200eword\u200f', 'word'],
]) {
  test(`${what} that a phone makes of what was typed are typed as they were`, () => {
    const { change, field } = softKeyboard();
    assert.deepEqual(change(field.value + written), [typed]);
  });
}

test('what a phone takes back is erased as it was typed', () => {
  const { change, field } = softKeyboard();
  const begin = field.value;
  assert.deepEqual(change(`${begin}\u2026`), ['...']);
  assert.deepEqual(change(`${begin}.`), ['Backspace', 'Backspace']);
});

test('what is dictated is said in parts', () => {
  const { change, field } = softKeyboard();
  const parts = change(field.value + 'word '.repeat(30));
  assert.deepEqual(
    parts.map(({ length }) => length),
    [50, 50, 50],
  );
});
