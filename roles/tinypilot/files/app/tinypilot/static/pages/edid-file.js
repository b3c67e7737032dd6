// SPDX-License-Identifier: MIT
// An EDID in a file, in the forms in which programs write it; free of the browser. Checksums guard what is read.

import { readText } from './settings-form.js';

const HEADER = '00ffffffffffff00';
// In front of each line of a dump, and behind the last: where its first byte is, in hexadecimal or (od's) octal digits.
const OFFSET = /^\s*([0-9a-f]{4,8})(?::\s*|\s+|$)/i;
const DUMPED_BYTES = 16;
const LARGEST_BYTES = 512;
const BETWEEN = String.raw`(?:0x|\\x|h(?=[\s,;]|$)|[\s,;:"'\\{}-])*`;
const BYTES = new RegExp(`^(?:.*hex:|[^0-9a-f]*?)${BETWEEN}((?:[0-9a-f]{2}${BETWEEN})+)`, 'i');
// A word may begin with letters that are digits, too.
const DIGITS_OF_A_WORD = 16;

// The hexadecimal digits of an EDID: what begins as an EDID is one, all else is text. A text without digits is for the
// device to refuse.
export function readEdid(bytes) {
  if (bytes[0] === 0 && bytes[1] === 255) return [...bytes].map((each) => each.toString(16).padStart(2, '0')).join('');
  const text = readText(bytes);
  let digits = '';
  let base = '0x';
  let isRepeated = false;
  for (const line of text.split(/[\r\n]+/)) {
    // A dump's sign for lines like the one before.
    if (line.trim() === '*') isRepeated = true;
    const [start, place] = OFFSET.exec(line) ?? ['', ''];
    const length = (prefix) => 2 * Number(prefix + place);
    if (isRepeated && place) {
      const row = digits.slice(-2 * DUMPED_BYTES);
      while (digits.length < Math.min(length(base), 2 * LARGEST_BYTES)) digits += row || '00';
      isRepeated = false;
    }
    const found = ['0x', '0o'].find((prefix) => length(prefix) === digits.length);
    base = found ?? base;
    digits += found ? digitsOf(line.slice(start.length)).slice(0, 2 * DUMPED_BYTES) : digitsOf(line);
  }
  digits = digits.toLowerCase();
  return digits.slice(Math.max(0, digits.indexOf(HEADER))) || text;
}

function digitsOf(line) {
  const found = BYTES.exec(line);
  if (!found) return '';
  const rest = line.slice(found[0].length).trim();
  const digits = found[1].replace(/0x|\\x|[^0-9a-f]/gi, '');
  return rest && digits.length < DIGITS_OF_A_WORD ? '' : digits;
}
