// SPDX-License-Identifier: MIT
// Which physical keys are down, and what follows from each event: a list of {code, down} to send.
// Free of the browser.

const RELEASE_CHORD = ['ControlLeft', 'AltLeft', 'ShiftLeft'];
// Windows makes AltGr from two events, which come at once.
const AT_ONCE_MS = 5;

export class HeldKeys {
  #down = new Map(); // code -> when
  #chord = false; // the chord is held, and nothing was pressed since
  #mac;

  // mac: the events are those of a browser on macOS
  constructor({ mac = false } = {}) {
    this.#mac = mac;
  }

  // event: {code, key, repeat, timeStamp}
  press({ code, key, repeat, timeStamp }) {
    if (!code || repeat || this.#down.has(code)) return [];
    if (this.#isSwitch(code)) return this.#tap(code);
    const changes = [];
    const control = this.#down.get('ControlLeft');
    if (code === 'AltRight' && key === 'AltGraph' && timeStamp - control <= AT_ONCE_MS) {
      this.#down.delete('ControlLeft');
      changes.push({ code: 'ControlLeft', down: false });
    }
    this.#down.set(code, timeStamp);
    this.#chord = this.#down.size === RELEASE_CHORD.length && RELEASE_CHORD.every((each) => this.#down.has(each));
    changes.push({ code, down: true });
    return changes;
  }

  // `leave` says that the person let go of the chord that gives the keyboard back.
  release({ code }) {
    if (this.#isSwitch(code)) return { changes: this.#tap(code), leave: false };
    const leave = this.#chord;
    this.#chord = false;
    const changes = this.#forget(code);
    // macOS says nothing of keys that are let go while Command is down.
    if (code === 'MetaLeft' || code === 'MetaRight') {
      for (const each of [...this.#down.keys()]) if (!isModifier(each)) changes.push(...this.#forget(each));
    }
    return { changes, leave };
  }

  clear() {
    const held = this.#down.size > 0;
    this.#down.clear();
    this.#chord = false;
    return held;
  }

  get any() {
    return this.#down.size > 0;
  }

  // macOS says of Caps Lock not that it is pressed and let go, but that it is on and off.
  #isSwitch(code) {
    return this.#mac && code === 'CapsLock';
  }

  #tap(code) {
    this.#chord = false;
    return [{ code, down: true }, { code, down: false }];
  }

  #forget(code) {
    return this.#down.delete(code) ? [{ code, down: false }] : [];
  }
}

export function isModifier(code) {
  return /^(Control|Shift|Alt|Meta)(Left|Right)$/.test(code);
}
