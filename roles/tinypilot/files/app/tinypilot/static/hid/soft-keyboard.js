// SPDX-License-Identifier: MIT
// A phone's own keyboard tells of no keys, but of a text that changes: it completes, corrects and composes. So it gets
// a field, and what changes there is typed.

// Something to erase: without it a phone says nothing of Backspace.
const FILLING = '\u00a0'.repeat(32);
const CHARACTERS_MAX = 50; // of hid/messages.py
// What phones make of plain characters by themselves.
const PLAIN = [
  [/[\u2018\u2019\u201a\u201b]/g, "'"],
  [/[\u201c\u201d\u201e\u201f]/g, '"'],
  [/\u2014/g, '--'],
  [/\u2013/g, '-'],
  [/\u2026/g, '...'],
  [/\p{Zs}/gu, ' '],
  // Marks of direction, joiners, the place of what is being dictated.
  [/[\p{Cf}\ufffc]/gu, ''],
];

// As it was meant, and with one character a letter, as the device types it.
function plainText(text) {
  return PLAIN.reduce((plain, [found, meant]) => plain.replace(found, meant), text.normalize('NFC'));
}

// How to make `after` of `before` at its end: so many characters to erase, then a text.
export function changeOf(before, after) {
  const [had, has] = [[...before], [...after]];
  let same = 0;
  while (same < had.length && same < has.length && had[same] === has[same]) same += 1;
  return { erase: had.length - same, text: has.slice(same).join('') };
}

// The field on which the keyboard types. say(type, fields): to the device; layout(): of the attached computer
export function openSoftKeyboard(field, { say, layout }) {
  if (!field.dataset.ready) {
    field.dataset.ready = 'true';
    let before = '';
    const begin = () => {
      before = plainText(FILLING);
      field.value = FILLING;
      field.setSelectionRange(FILLING.length, FILLING.length);
    };
    field.addEventListener('focus', begin);
    field.addEventListener('input', (event) => {
      const after = plainText(field.value);
      const { erase, text } = changeOf(before, after);
      before = after;
      for (let count = 0; count < erase; count += 1) say('combination', { codes: ['Backspace'] });
      const characters = [...text];
      for (let at = 0; at < characters.length; at += CHARACTERS_MAX) {
        const part = characters.slice(at, at + CHARACTERS_MAX).join('');
        say('characters', { layout: layout(), text: part, held: [] }, event.timeStamp);
      }
      // A word that is being composed would be lost.
      if (!event.isComposing && (text.includes('\n') || before.length < FILLING.length / 2)) begin();
    });
  }
  field.focus();
}
