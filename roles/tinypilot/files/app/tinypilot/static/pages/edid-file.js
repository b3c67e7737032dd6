// SPDX-License-Identifier: MIT
// An EDID in a file, in the forms in which programs write it; free of the browser. Checksums guard what is read.

import { readText } from './settings-form.js';

const HEADER = '00ffffffffffff00';
// In front of each line of a dump: where its first byte is.
const OFFSET = /^\s*(?:[0-9a-f]{4,8}:\s*|[0-9a-f]{6,8}\s+)(?=[0-9a-f]{2})/i;
const DUMPED_BYTES = 16;
const BETWEEN = String.raw`(?:0x|\\x|h(?=[\s,;]|$)|[\s,;:"'\\{}-])*`;
const BYTES = new RegExp(`^(?:.*hex:|[^0-9a-f]*?)${BETWEEN}((?:[0-9a-f]{2}${BETWEEN})+)`, 'i');
// A word may begin with letters that are digits, too.
const DIGITS_OF_A_WORD = 16;

// The hexadecimal digits of an EDID: what begins as an EDID is one, all else is text. A text without digits is for the
// device to refuse.
export function readEdid(bytes) {
  if (bytes[0] === 0 && bytes[1] === 255) return [...bytes].map((each) => each.toString(16).padStart(2, '0')).join('');
  const text = readText(bytes);
  const digits = text
    .split(/[\r\n]+/)
    .map(digitsOf)
    .join('')
    .toLowerCase();
  return digits.slice(Math.max(0, digits.indexOf(HEADER))) || text;
}

function digitsOf(line) {
  const offset = OFFSET.exec(line)?.[0] ?? '';
  const found = BYTES.exec(line.slice(offset.length));
  if (!found) return '';
  const rest = line.slice(offset.length + found[0].length).trim();
  const digits = found[1].replace(/0x|\\x|[^0-9a-f]/gi, '').slice(0, offset ? 2 * DUMPED_BYTES : undefined);
  return rest && digits.length < DIGITS_OF_A_WORD ? '' : digits;
}
