// SPDX-License-Identifier: MIT
// What a layout lacks comes from word processors and web pages, which write for readers. Here is what says the same to
// a shell or a form. Free of the browser.

const ALIKE = {
  "'": '\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u2039\u203a\u00b4\u02ca\u275b\u275c',
  '"': '\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u300c\u300d\u300e\u300f\u301d\u301e\u301f\u02dd\u275d\u275e',
  '`': '\u02cb',
  '~': '\u02dc\u223c\u223d\u2248\u2053\u301c',
  '^': '\u02c6',
  _: '\u2017',
  ':': '\u2236\ua789',
  '-': '\u2212\u2043\u2500\u2501\u2504\u2505\u2508\u2509\u254c\u254d\u2574\u2576\u2578\u257a\u257c\u257e',
  '=': '\u2550',
  '/': '\u2044\u2215\u29f8\u2571\u00f7',
  '\\': '\u2216\u29f5\u29f9\u2572',
  '*': '\u2022\u2023\u204e\u2217\u25aa\u25ab\u25a0\u25a1\u25b8\u25ba\u25c6\u25c7\u25cb\u25cf\u25e6',
  x: '\u00d7\u2573',
  '|': '\u00a6\u01c0\u2223\u2502\u2503\u2506\u2507\u250a\u250b\u254e\u254f\u2551\u2575\u2577\u2579\u257b\u257d\u257f',
  u: '\u00b5\u03bc',
  '(c)': '\u00a9',
  '(R)': '\u00ae',
  '.': '\u3002',
  ',': '\u3001\u060c',
  ';': '\u061b',
  '%': '\u066a',
  '[': '\u3010',
  ']': '\u3011',
  ' ': '\u2800', // a blank of Braille
  '': '\ufffc', // the place of what is embedded, or dictated
  '||': '\u2016\u2225',
  '<': '\u27e8',
  '>': '\u27e9',
  '<<': '\u226a',
  '>>': '\u226b',
  '<=': '\u2264\u2a7d\u21d0',
  '>=': '\u2265\u2a7e',
  '!=': '\u2260',
  '=>': '\u21d2',
  '->': '\u2192\u27f6',
  '<-': '\u2190\u27f5',
  '<->': '\u2194',
  '...': '\u2026',
  '\n': '\u000b\u000c\u0085\u2028\u2029', // also of slides and of pages
};
const REPLACEMENTS = new Map(Object.entries(ALIKE).flatMap(([text, all]) => [...all].map((each) => [each, text])));

// Null where nothing says the same; '' for what nobody sees.
export function replacementFor(character) {
  if (REPLACEMENTS.has(character)) return REPLACEMENTS.get(character);
  if (/\p{Zs}/u.test(character)) return ' ';
  if (/\p{Pd}/u.test(character)) return '-';
  if (/\p{Decimal_Number}/u.test(character)) return String(digitOf(character));
  if (/[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/u.test(character)) return '';
  // Corners and crossings of lines.
  if (/[\u2500-\u257f]/.test(character)) return '+';
  // Ligatures, wide letters, raised digits.
  const plain = character.normalize('NFKC');
  // A mark that is left without its letter can be typed no more than before.
  if (plain === character || /\p{M}/u.test(plain)) return null;
  return [...plain].map((each) => REPLACEMENTS.get(each) ?? each).join('');
}

// Digits of each script are in a row, from 0 on.
function digitOf(character) {
  const point = character.codePointAt(0);
  let zero = point;
  while (/\p{Decimal_Number}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return (point - zero) % 10;
}

// untypable: as the device has listed them, in NFC. Map from each that can be replaced to what replaces it.
export function findReplacements(untypable) {
  const found = untypable.map((each) => [each, replacementFor(each)]);
  return new Map(found.filter(([, text]) => text !== null));
}

export function replaceIn(text, replacements) {
  return [...text.normalize('NFC')].map((each) => replacements.get(each) ?? each).join('');
}
