// SPDX-License-Identifier: MIT
// The paste dialog: what a layout lacks is replaced or left out.
import assert from 'node:assert/strict';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { findReplacements, replaceIn, replacementFor } = await import(new URL('replacements.js', BASE));
const { describeReplacements, PasteDialog } = await import(new URL('paste-dialog.js', BASE));

for (const [characters, text] of [
  ['\u2018\u2019\u201a\u2039\u203a\u2032', "'"],
  ['\u201c\u201d\u201e\u00ab\u00bb\u2033', '"'],
  ['\u2010\u2011\u2012\u2013\u2014\u2015\u2212', '-'],
  ['\u00a0\u2002\u2003\u2009\u202f\u3000', ' '],
  ['\ufeff\u200b\u200d\u200e\u202a\u00ad\u2060\ufe0f\u0007', ''],
  ['\u2028\u2029\u0085\u000b\u000c', '\n'],
  ['\u2026', '...'],
  ['\u2022\u2023\u25e6\u25a0\u25a1\u25cb', '*'],
  ['\u2043\u2500\u2501\u2574', '-'],
  ['\u02dc\u223c\u301c\uff5e', '~'],
  ['\u02c6', '^'],
  ['\u02cb', '`'],
  ['\u00a6\u2223\u2502\u2551', '|'],
  ['\u2216\u2572', '\\'],
  ['\u2236\uff1a', ':'],
  ['\u275b\u275c', "'"],
  ['\u275d\u275e', '"'],
  ['\u2264\u21d0', '<='],
  ['\u2265', '>='],
  ['\u2260', '!='],
  ['\u21d2', '=>'],
  ['\u2550', '='],
  ['\u250c\u2510\u2514\u2518\u251c\u2524\u253c\u256c\u2570', '+'],
  ['\u3164\uffa0\u1160\u034f', ''],
  ['\u2800', ' '],
  ['\ufffc', ''],
  ['\u00b5\u03bc', 'u'],
  ['\u00a9', '(c)'],
  ['\u00ae', '(R)'],
  ['\u2122', 'TM'],
  ['\u3002', '.'],
  ['\u3001\u060c\uff0c', ','],
  ['\u061b', ';'],
  ['\u066a', '%'],
  ['\u300c\u300d\u300e', '"'],
  ['\u3010', '['],
  ['\u3011', ']'],
  ['\u0660\u06f0\u0966\u0e50\uff10\u{1d7ce}', '0'],
  ['\u0663\u06f3\u0969\u0e53', '3'],
  ['\u0669\u06f9\u096f', '9'],
  ['\ufb01', 'fi'],
  ['\uff21', 'A'],
  ['\u00bd', '1/2'],
]) {
  for (const character of characters) {
    const name = character.codePointAt(0).toString(16);
    test(`U+${name} is replaced by ${JSON.stringify(text)}`, () => assert.equal(replacementFor(character), text));
  }
}

test('a letter, a currency, a picture and a mark without its letter are replaced by nothing else', () => {
  for (const character of 'üß€日\u{1f600}¨¯¸˘\u1fc0') assert.equal(replacementFor(character), null, character);
});

const LINE = '\ufeffgrep \u2018single\u2019 \u201cdouble\u201d \u2014\u00a0x';
const MISSING = [...new Set(LINE)].filter((each) => each > '\u007f');

test('every line that draws a box is replaced by what each keyboard has', () => {
  for (let point = 0x2500; point <= 0x257f; point += 1) {
    assert.match(replacementFor(String.fromCodePoint(point)), /^[-=|+/\\x]$/, point.toString(16));
  }
});

test('nothing is replaced by a mark, or by what nobody sees', () => {
  for (let point = 0x80; point <= 0xffff; point += 1) {
    const text = replacementFor(String.fromCodePoint(point)) ?? '';
    assert.doesNotMatch(text, /[\p{M}\p{Default_Ignorable_Code_Point}]/u, point.toString(16));
  }
});

test('a line of a web page becomes one of a shell', () => {
  assert.equal(replaceIn(LINE, findReplacements(MISSING)), `grep 'single' "double" - x`);
});

test('a letter that came in two parts is found as the device has listed it', () => {
  assert.equal(replaceIn('e\u0301x', new Map([['é', '']])), 'x');
});

test('what will be typed is said', () => {
  assert.equal(
    describeReplacements(findReplacements([...MISSING, '€'])),
    'U+FEFF → nothing \u00a0 ‘ ’ → \' \u00a0 “ ” → " \u00a0 — → - \u00a0 U+00A0 → space',
  );
});

// --- The dialog ---

const part = () =>
  Object.assign(new EventTarget(), { value: '', textContent: '', hidden: true, focus() {}, showModal() {} });

function open(t) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const parts = new Proxy(
    {},
    {
      get: (made, name) => {
        made[name] ??= part();
        return made[name];
      },
    },
  );
  const said = [];
  const socket = Object.assign(new EventTarget(), { say: (type, fields) => said.push({ type, ...fields }) });
  new PasteDialog(parts, socket).open();
  parts.layout.value = 'en-us';
  // The device answers what was typed or chosen.
  const check = (untypable) => {
    t.mock.timers.tick(1000);
    socket.dispatchEvent(Object.assign(new Event('checked'), { detail: { untypable } }));
    return said.at(-1);
  };
  const type = (text) => {
    parts.text.value = text;
    parts.text.dispatchEvent(new Event('input'));
  };
  const click = (name) => parts[name].dispatchEvent(new Event('click'));
  return { check, click, parts, said, type };
}

test('one click replaces what is shown, and the text can be typed', (t) => {
  const { check, click, parts, said, type } = open(t);
  type(LINE);
  check(MISSING);
  assert.deepEqual([parts.mend.hidden, parts.replace.hidden, parts.start.disabled], [false, false, true]);
  assert.match(parts.instead.textContent, /^Instead: .*“ ” → "/);
  t.mock.method(parts.text, 'focus');
  click('replace');
  // Not nowhere, where the button was.
  assert.equal(parts.text.focus.mock.callCount(), 1);
  assert.equal(check([]).text, `grep 'single' "double" - x`);
  assert.deepEqual([parts.mend.hidden, parts.start.disabled, parts.missing.textContent], [true, false, '']);
  click('start');
  assert.deepEqual(
    [said.at(-1).type, said.at(-1).layout, said.at(-1).text],
    ['paste', 'en-us', `grep 'single' "double" - x`],
  );
});

test('the speed is remembered, and one that nobody knows is fast', (t) => {
  const stored = new Map([['paste-pace', 'warp']]);
  globalThis.localStorage = {
    getItem: (name) => stored.get(name) ?? null,
    setItem: (name, value) => stored.set(name, value),
  };
  t.after(() => delete globalThis.localStorage);
  const { click, parts, said, type } = open(t);
  assert.equal(parts.pace.value, 'fast');
  parts.pace.value = 'slow';
  parts.pace.dispatchEvent(new Event('change'));
  type('a');
  click('start');
  assert.equal(said.at(-1).pace, 'slow');
  t.mock.timers.reset();
  assert.equal(open(t).parts.pace.value, 'slow');
});

test('one click leaves out what is shown, also what nothing replaces', (t) => {
  const { check, click, parts, type } = open(t);
  type('10 € “für”');
  check(['€', '“', 'ü', '”']);
  click('leaveOut');
  assert.equal(check([]).text, '10  fr');
  assert.equal(parts.start.disabled, false);
});

test('what nothing replaces is not offered to be, and stays', (t) => {
  const { check, click, parts, type } = open(t);
  type('€“');
  check(['€', '“']);
  click('replace');
  assert.equal(check(['€']).text, '€"');
  assert.deepEqual([parts.replace.hidden, parts.mend.hidden, parts.start.disabled], [true, false, true]);
  assert.equal(parts.instead.textContent, '');
});

test('nothing is offered for a text that is empty or too long', (t) => {
  const { check, parts, type } = open(t);
  for (const text of ['', 'a'.repeat(20_001)]) {
    type('€');
    check(['€']);
    type(text);
    assert.deepEqual([parts.mend.hidden, parts.start.disabled], [true, true]);
  }
  assert.match(parts.missing.textContent, /20,001/);
});
