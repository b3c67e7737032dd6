// SPDX-License-Identifier: MIT
// A phone's own keyboard tells of no keys, but of a text that changes: it completes, corrects and composes. So it gets
// a field, and what changes there is typed.

// Something to erase: without it a phone says nothing of Backspace.
const FILLING = '\u00a0'.repeat(32);
const CHARACTERS_MAX = 50; // of hid/messages.py

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
      before = FILLING;
      field.value = FILLING;
      field.setSelectionRange(FILLING.length, FILLING.length);
    };
    field.addEventListener('focus', begin);
    field.addEventListener('input', (event) => {
      const { erase, text } = changeOf(before, field.value);
      before = field.value;
      for (let count = 0; count < erase; count += 1) say('combination', { codes: ['Backspace'] });
      const characters = [...text.replaceAll('\u00a0', ' ')];
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
