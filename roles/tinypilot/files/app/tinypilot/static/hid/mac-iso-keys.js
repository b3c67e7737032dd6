// SPDX-License-Identifier: MIT
// macOS gives the keys left of 1 and left of Z of ISO keyboards each other's numbers, and browsers take that back, or
// not, or for another keyboard than the one that is typed on. So what the key types tells which it is, as its cap
// does. Free of the browser.

const LEFT_OF_1 = 'Backquote';
const LEFT_OF_Z = 'IntlBackslash';
// What that key types, and the one left of Z does not, where keyboards have < left of Z.
const OTHER_LEFT_OF_1 = /^([§±°^@#²³$*½¬|\\ºª'"é0¸¨ёЁ]|Dead)$/;

export class MacIsoKeys {
  #sent = new Map(); // code -> the code that its press was sent as
  #isEnglish; // whether ` is left of Z, and § left of 1 belongs to it

  // language: of the browser's person, until a key tells
  constructor(language) {
    this.#isEnglish = (language || 'en').startsWith('en');
  }

  press(event) {
    // A held key's character may become another, by Shift.
    const code = (event.repeat && this.#sent.get(event.code)) || this.#placeOf(event);
    this.#sent.set(event.code, code);
    return code;
  }

  release({ code }) {
    const sent = this.#sent.get(code) ?? code;
    this.#sent.delete(code);
    return sent;
  }

  #placeOf({ code, key, shiftKey }) {
    if (code !== LEFT_OF_1 && code !== LEFT_OF_Z) return code;
    // Shift and < are the key left of 1 on a Russian keyboard; í is a Hungarian key.
    if (key === (shiftKey ? '>' : '<') || /^[íÍ]$/.test(key)) {
      this.#isEnglish = false;
      return LEFT_OF_Z;
    }
    if (key === '`' || key === '~') {
      if (code === LEFT_OF_Z) this.#isEnglish = true;
      return LEFT_OF_1;
    }
    // A PC has no key with these signs in English: they get the one that is left over.
    if (this.#isEnglish) return key === '§' || key === '±' ? LEFT_OF_Z : code;
    return OTHER_LEFT_OF_1.test(key) ? LEFT_OF_1 : code;
  }
}
