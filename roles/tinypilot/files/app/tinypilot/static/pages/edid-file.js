// SPDX-License-Identifier: MIT
// An EDID in a file, in the forms in which programs write it; free of the browser. Checksums guard what is read.

import { readText } from './settings-form.js';

const HEADER = '00ffffffffffff00';
// In front of each line of a dump, and behind the last: where its first byte is, in hexadecimal or (od's) octal or
// decimal digits.
const OFFSET = /^\s*([0-9a-f]{4,16})(?::\s*|\s+|$)/i;
const BASES = ['0x', '0o', ''];
const DUMPED_BYTES = 16;
const BLOCK_DIGITS = 256;
const LARGEST_BYTES = 512;
const BETWEEN = String.raw`(?:0x|\\x|h(?=[\s,;]|$)|[\s,;:"'\\{}-])*`;
const BYTES = new RegExp(`^(?:.*hex:|[^0-9a-f]*?)${BETWEEN}((?:[0-9a-f]{2}${BETWEEN})+)`, 'i');
// A word may begin with letters that are digits, too.
const DIGITS_OF_A_WORD = 16;

// At least so many bytes of a line are data, and no word or number beside it.
const RUN = /(?:[0-9a-f]{2}[ ,:]?){8,}/gi;
const LONG_OFFSET = /^\s*[0-9a-f]{16}:?\s+(?=([0-9a-f]{2} ){4})/i;
const NUMBERS = /0x[0-9a-f]+|-?\d+/gi;
// As languages mark each byte.
const MARKED = /(?:0x|\\x|\\u00|%|&#x|&h|8'h|x["']|[$#])([0-9a-f]{1,2})(?![0-9a-f])/gi;
const ESCAPED = /(["'])((?:\\.|(?!\1)[^\\])*)\1/gs;
const ESCAPES = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };
const INTEL_HEX = /^:[0-9a-f]{6}00([0-9a-f]*)[0-9a-f]{2}\s*$/gim;
const BASE64 = /AP\/{7}w[\w+/\s]+/;
const SWAPPED_HEADER = 'ff00ffffffff00ff';

// The hexadecimal digits of an EDID: what begins as an EDID is one, all else is text. Of the ways to read that, the one
// that gives an EDID; if none does, what the device is to refuse.
export function readEdid(bytes) {
  if (bytes[0] === 0 && bytes[1] === 255) return hexOf(bytes);
  const text = readText(bytes);
  const plain = readDump(text);
  return (
    [
      () => plain,
      () => readRuns(text),
      () => swapped(plain),
      () => readNumbers(text),
      () => readCells(text),
      () => readBase64(text),
      () => readMarked(text),
      () => readEscaped(text),
      () => readIntelHex(text),
    ]
      .map((read) => read())
      .find(isWhole) ?? plain
  );
}

const hexOf = (bytes) => [...bytes].map((each) => each.toString(16).padStart(2, '0')).join('');

// The first one, where a program tells of several displays.
function fromHeader(digits) {
  const found = digits.slice(Math.max(0, digits.indexOf(HEADER)));
  const next = found.indexOf(HEADER, 1);
  return next > 0 && next % BLOCK_DIGITS === 0 ? found.slice(0, next) : found;
}

function isWhole(digits) {
  if (!digits.startsWith(HEADER) || digits.length % BLOCK_DIGITS) return false;
  const blocks = digits.match(new RegExp(`.{${BLOCK_DIGITS}}`, 'g'));
  return blocks.every((block) => block.match(/../g).reduce((sum, each) => sum + Number(`0x${each}`), 0) % 256 === 0);
}

function readDump(text) {
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
    const found = BASES.find((prefix) => place && length(prefix) === digits.length);
    base = found ?? base;
    digits += found === undefined ? digitsOf(line) : digitsOf(line.slice(start.length)).slice(0, 2 * DUMPED_BYTES);
  }
  return fromHeader(digits.toLowerCase()) || text;
}

// Each line's longest row of bytes, whatever stands around it: logs, tables, `<...>`.
function readRuns(text) {
  const rows = text.split(/[\r\n]+/).map((line) => {
    const runs = (line.replace(LONG_OFFSET, '').match(RUN) ?? []).map((run) => run.replace(/[ ,:]/g, ''));
    return runs.sort((one, other) => other.length - one.length)[0] ?? '';
  });
  return fromHeader(rows.join('').toLowerCase());
}

// Words of two bytes, the second first, as hexdump has them without options.
function swapped(digits) {
  const words = digits.slice(Math.max(0, digits.indexOf(SWAPPED_HEADER)));
  return words.replace(/(..)(..)/g, '$2$1');
}

// Lists of PowerShell, JSON and Python, and of Java, whose bytes have signs.
function readNumbers(text) {
  const numbers = (text.match(NUMBERS) ?? []).map(Number);
  return fromHeader(hexOf(numbers.filter((number) => number >= -128 && number < 256).map((number) => number & 255)));
}

function readMarked(text) {
  return fromHeader([...text.matchAll(MARKED)].map(([, digits]) => digits.padStart(2, '0').toLowerCase()).join(''));
}

// Strings of Python and C, with letters among the escapes.
function readEscaped(text) {
  const bytesOf = ([, , string]) =>
    [...string.matchAll(/\\(?:x([0-9a-f]{2})|([0-7]{1,3})|(.))|(.)/gis)].map(
      ([, hex, octal, escaped, letter]) =>
        (hex && Number(`0x${hex}`)) ??
        (octal && Number(`0o${octal}`)) ??
        ESCAPES[escaped] ??
        (escaped ?? letter).charCodeAt(0),
    );
  return fromHeader(hexOf([...text.matchAll(ESCAPED)].flatMap(bytesOf)));
}

function readIntelHex(text) {
  return fromHeader([...text.matchAll(INTEL_HEX)].map(([, data]) => data.toLowerCase()).join(''));
}

// Between other words and signs: in a shell's printf, a table, HTML, an INF file of Windows.
function readCells(text) {
  const cells = text
    .replace(/EDID_OVERRIDE[^,]*(,[^,]*){2},|<\/?[a-z][^<>]*>/gi, ' ')
    .replace(/\\x|0x|&\w+;|[^\r\n0-9a-z\\]+|\\/gi, ' ')
    // Words.
    .replace(/\b(?!(?:[0-9a-f]{2})+\b)\w+/gi, '|')
    // The place of a row's first byte.
    .replace(/^ *[0-9a-f]{2} +(?=(?:[0-9a-f]{2} +){15}[0-9a-f]{2} *$)/gim, '')
    .replace(/ +/g, ' ');
  return readRuns(cells);
}

function readBase64(text) {
  const [coded] = text.match(BASE64) ?? [''];
  try {
    return hexOf(Uint8Array.from(atob(coded.replace(/\s/g, '')), (each) => each.charCodeAt(0)));
  } catch {
    return ''; // something else that begins so
  }
}

function digitsOf(line) {
  const found = BYTES.exec(line);
  if (!found) return '';
  const rest = line.slice(found[0].length).trim();
  const digits = found[1].replace(/0x|\\x|[^0-9a-f]/gi, '');
  return rest && digits.length < DIGITS_OF_A_WORD ? '' : digits;
}
