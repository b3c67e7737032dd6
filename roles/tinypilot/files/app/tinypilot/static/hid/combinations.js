// SPDX-License-Identifier: MIT
// Combinations of keys that a browser or its computer keeps for itself, and the person's own.

import { recall, remember } from '../common/preferences.js';
import { HeldKeys } from './held-keys.js';
import { keyLabel } from './key-labels.js';

export const BUILT_IN = [
  ['ControlLeft', 'AltLeft', 'Delete'],
  ['AltLeft', 'Tab'],
  ['AltLeft', 'F4'],
  ['MetaLeft'],
  ['MetaLeft', 'KeyL'],
  ['ControlLeft', 'ShiftLeft', 'Escape'],
  ['ControlLeft', 'KeyW'],
  ['ControlLeft', 'AltLeft', 'F1'],
  ['ControlLeft', 'AltLeft', 'F2'],
  ['PrintScreen'],
];
const STORED = 'combinations';
const KEYS_MAX = 6; // more than a hand presses
const OWN_MAX = 50; // more than anybody finds again

export const describe = (codes) => codes.map(keyLabel).join(' + ');

export function isCombination(value) {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= KEYS_MAX &&
    value.every((code) => typeof code === 'string' && /^\w{1,32}$/.test(code))
  );
}

export function loadOwn() {
  return (recall(STORED, Array.isArray) ?? []).filter(isCombination).slice(-OWN_MAX);
}

export function saveOwn(combinations) {
  remember(STORED, combinations);
}

// Learns a combination: all keys that are pressed until none is down.
export class Recorder {
  #keys = new HeldKeys();
  #codes = [];

  // Both answer with the combination, once it is complete; else null. Some keys have but one of the two events.
  press(event) {
    const changes = this.#keys.press(event);
    const wasNone = changes.filter(({ down }) => !down).map(({ code }) => code); // Ctrl that Windows makes of AltGr
    this.#codes = this.#codes.filter((code) => !wasNone.includes(code));
    return this.#learn(changes);
  }

  release(event) {
    return this.#learn(this.#keys.release(event).changes);
  }

  #learn(changes) {
    for (const { code, down } of changes) if (down) this.#codes.push(code);
    return this.#keys.any || !isCombination(this.#codes) ? null : this.#codes;
  }
}
