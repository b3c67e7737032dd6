// SPDX-License-Identifier: MIT
// What a layout lacks comes from word processors and web pages, which write for readers. Here is what says the same to
// a shell or a form. Free of the browser.

const ALIKE = {
  "'": '\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u2039\u203a\u00b4',
  '"': '\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e\u301f',
  '-': '\u2212',
  '/': '\u2044\u2215',
  '*': '\u2022\u2217\u25cf\u25aa',
  x: '\u00d7',
  '|': '\u00a6',
  '->': '\u2192',
  '<-': '\u2190',
  '...': '\u2026',
  '\n': '\u0085\u2028\u2029',
};
const REPLACEMENTS = new Map(Object.entries(ALIKE).flatMap(([text, all]) => [...all].map((each) => [each, text])));

// Null where nothing says the same; '' for what nobody sees.
export function replacementFor(character) {
  if (REPLACEMENTS.has(character)) return REPLACEMENTS.get(character);
  if (/\p{Zs}/u.test(character)) return ' ';
  if (/\p{Pd}/u.test(character)) return '-';
  if (/[\p{Cc}\p{Cf}\p{Variation_Selector}]/u.test(character)) return '';
  // Ligatures, wide letters, raised digits.
  const plain = character.normalize('NFKC');
  return plain === character ? null : [...plain].map((each) => REPLACEMENTS.get(each) ?? each).join('');
}

// untypable: as the device has listed them, in NFC. Map from each that can be replaced to what replaces it.
export function findReplacements(untypable) {
  const found = untypable.map((each) => [each, replacementFor(each)]);
  return new Map(found.filter(([, text]) => text !== null));
}

export function replaceIn(text, replacements) {
  return [...text.normalize('NFC')].map((each) => replacements.get(each) ?? each).join('');
}
