// SPDX-License-Identifier: MIT
// Where a browser keeps Escape and the like for itself though the picture fills the screen: a leader key that is
// pressed and let go alone, and then a number. Alone it does nothing at the computer either. Free of the browser.

import { BUILT_IN, describe } from './combinations.js';

const LEADER = 'ControlRight';
// In the order of their numbers.
const COMBINATIONS = [['Escape'], ...BUILT_IN.slice(0, 8)];

export const describeLeader = () =>
  COMBINATIONS.map((codes, index) => `${index + 1}: ${describe(codes)}`).join(' \u00b7 ');

export class Leader {
  #isAlone = false;
  #isNext = false;

  // Whether the next number is that of a combination.
  get isNext() {
    return this.#isNext;
  }

  // The combination, if this key chooses one; else null, and the key is the computer's.
  press({ code, repeat }) {
    if (repeat) return null;
    const number = this.#isNext ? Number(/^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1]) : 0;
    this.#isNext = false;
    this.#isAlone = code === LEADER;
    return COMBINATIONS[number - 1] ?? null;
  }

  release({ code }) {
    this.#isNext = this.#isNext || (this.#isAlone && code === LEADER);
    this.#isAlone = false;
  }

  cancel() {
    this.#isAlone = this.#isNext = false;
  }
}
