// SPDX-License-Identifier: MIT
// Keys that a browser knows no place of (code is ''): of stream decks, remote desktops, phones. What they type, or the
// number that browsers of before gave them, tells which key to press. Free of the browser.

const NUMPAD = 3; // KeyboardEvent.location
const RIGHT = 2;
const SIDED = {
  ...{ Shift: 'Shift', Control: 'Control', Alt: 'Alt', Meta: 'Meta' },
  ...{ OS: 'Meta', Win: 'Meta', Super: 'Meta', Hyper: 'Meta' },
};
// KeyboardEvent.key of keys that are named otherwise than their place; from Esc on those of older browsers.
const PLACES = {
  ...{ AltGraph: 'AltRight', HangulMode: 'Lang1', HanjaMode: 'Lang2', ZenkakuHankaku: 'Backquote', Clear: 'Numpad5' },
  ...{ Zenkaku: 'Backquote', Hankaku: 'Backquote', KanjiMode: 'Backquote', Eisu: 'CapsLock', Alphanumeric: 'CapsLock' },
  ...{ Hiragana: 'KanaMode', Katakana: 'KanaMode', HiraganaKatakana: 'KanaMode', Romaji: 'KanaMode' },
  ...{ Esc: 'Escape', Del: 'Delete', Spacebar: 'Space', Apps: 'ContextMenu', Scroll: 'ScrollLock' },
  ...{ Up: 'ArrowUp', Down: 'ArrowDown', Left: 'ArrowLeft', Right: 'ArrowRight', Nonconvert: 'NonConvert' },
  ...{ Hangul: 'Lang1', Hanja: 'Lang2', Kana: 'KanaMode', Kanji: 'Backquote', Snapshot: 'PrintScreen' },
  ...{ Cancel: 'Pause', Menu: 'ContextMenu' },
  ...{ Multiply: 'NumpadMultiply', Add: 'NumpadAdd', Subtract: 'NumpadSubtract', Divide: 'NumpadDivide' },
  ...{ Decimal: 'NumpadDecimal', Separator: 'NumpadComma' },
  // As programs that type characters call them.
  ...{ '\b': 'Backspace', '\t': 'Tab', '\n': 'Enter', '\r': 'Enter', '\x1b': 'Escape', '\x7f': 'Delete' },
};
const SAME =
  /^(Enter|Escape|Backspace|Tab|Delete|Insert|Home|End|PageUp|PageDown|Arrow(Up|Down|Left|Right)|F([1-9]|1\d|2[0-4])|CapsLock|NumLock|ScrollLock|PrintScreen|Pause|ContextMenu|Convert|NonConvert|KanaMode)$/;
const ON_NUMPAD = {
  ...{ '*': 'Multiply', '+': 'Add', '-': 'Subtract', '/': 'Divide', '.': 'Decimal', ',': 'Decimal', Enter: 'Enter' },
  ...{ Insert: '0', End: '1', ArrowDown: '2', PageDown: '3', ArrowLeft: '4', Clear: '5', ArrowRight: '6' },
  ...{ Home: '7', ArrowUp: '8', PageUp: '9', Delete: 'Decimal', '=': 'Equal' },
  ...{ Down: '2', Left: '4', Right: '6', Up: '8', Del: 'Decimal' },
};
// biome-ignore format: a row of numbers is a line
const NUMBERED = {
  8: 'Backspace', 9: 'Tab', 12: 'Numpad5', 13: 'Enter', 16: 'ShiftLeft', 17: 'ControlLeft', 18: 'AltLeft', 19: 'Pause',
  20: 'CapsLock', 27: 'Escape', 32: 'Space', 33: 'PageUp', 34: 'PageDown', 35: 'End', 36: 'Home', 37: 'ArrowLeft',
  38: 'ArrowUp', 39: 'ArrowRight', 40: 'ArrowDown', 44: 'PrintScreen', 45: 'Insert', 46: 'Delete', 91: 'MetaLeft',
  92: 'MetaRight', 93: 'ContextMenu', 106: 'NumpadMultiply', 107: 'NumpadAdd', 109: 'NumpadSubtract',
  110: 'NumpadDecimal', 111: 'NumpadDivide', 144: 'NumLock', 145: 'ScrollLock', 186: 'Semicolon', 187: 'Equal',
  188: 'Comma', 189: 'Minus', 190: 'Period', 191: 'Slash', 192: 'Backquote', 219: 'BracketLeft', 220: 'Backslash',
  221: 'BracketRight', 222: 'Quote', 226: 'IntlBackslash',
};

// The key's place: {code}; the character that it types, where that depends on the layout: {character}; or null.
export function identify({ key: name = '', keyCode = 0, location = 0 }) {
  // As iPads call what types nothing: UIKeyInputUpArrow.
  const key = name.replace(/^UIKeyInput(?:(\w+)Arrow|)/, (_, way) => (way ? `Arrow${way}` : ''));
  const code = placeOf(key, location);
  if (code) return { code };
  // Everything else but names is typed; of some characters (flags, letters with marks) there are several in one.
  if (key.length === 1 || /[^\w]/.test(key)) return { character: key };
  const numbered = key === 'Unidentified' || key === '' ? codeOfNumber(keyCode) : null;
  return numbered && { code: numbered };
}

function placeOf(key, location) {
  if (location === NUMPAD) {
    const name = /^\d$/.test(key) ? key : ON_NUMPAD[key];
    if (name) return `Numpad${name}`;
  }
  if (SIDED[key]) return SIDED[key] + (location === RIGHT ? 'Right' : 'Left');
  if (key === ' ') return 'Space';
  return PLACES[key] ?? (SAME.test(key) ? key : null);
}

function codeOfNumber(number) {
  if (number >= 65 && number <= 90) return `Key${String.fromCharCode(number)}`;
  if (number >= 48 && number <= 57) return `Digit${number - 48}`;
  if (number >= 96 && number <= 105) return `Numpad${number - 96}`;
  if (number >= 112 && number <= 135) return `F${number - 111}`;
  return NUMBERED[number] ?? null;
}
