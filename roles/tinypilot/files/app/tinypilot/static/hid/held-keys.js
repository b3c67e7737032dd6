// SPDX-License-Identifier: MIT
// Which physical keys are down, and what follows from each event: a list of {code, down} to send. Events do not tell
// all: browsers that resist fingerprinting hide modifiers, systems keep releases to themselves, some keys have but one
// of the two events. So each event's flags of the modifiers are compared with what is held. Free of the browser.

import { MacIsoKeys } from './mac-iso-keys.js';

const RELEASE_CHORD = ['ControlLeft', 'AltLeft', 'ShiftLeft'];
// Windows makes AltGr from two events, which come at once, or through a remote desktop after another.
const AT_ONCE_MS = 30;
// KeyboardEvent.key of modifiers. AltGr is one of its own, but on a Mac, where Option types what AltGr does elsewhere.
const MODIFIERS = ['Shift', 'Control', 'Alt', 'Meta', 'AltGraph'];
// Keys that switch an input method: Windows tells their press alone, each time with another name.
const PRESS_ONLY_KEYS =
  /^(Zenkaku|Hankaku|ZenkakuHankaku|Eisu|Alphanumeric|Romaji|Hiragana|Katakana|HiraganaKatakana|\w+Mode|Convert|NonConvert)$/;
const PRESS_ONLY_CODES = /^(KanaMode|Convert|NonConvert|Lang\d)$/;
// Those that an input method has taken, which is all that their event tells.
const TAKEN_CODES = /^(Backquote|CapsLock)$/;
// Windows takes Shift back while a key of the numeric pad is down, if Num Lock is on: what the key then says it types,
// it types with Shift alone.
const PAD_CODES = /^Numpad(\d|Decimal)$/;
const SHIFTED_PAD_KEYS = /^(Home|End|PageUp|PageDown|Arrow\w+|Insert|Delete|Clear)$/;
// Windows tells its release alone, other systems take the press for their own screenshots.
const RELEASE_ONLY_CODE = 'PrintScreen';

export class HeldKeys {
  // code -> {at, kinds: the modifiers that it is taken for, isTold: flags tell of it, wasFlagged: an event did,
  // isAdded: it was hidden}
  #down = new Map();
  #chord = false; // the chord is held, and nothing was pressed since
  #afterDead = false; // a dead key was pressed: the next one types its letter with a mark
  #mac;
  #macIsoKeys;
  // code -> [plain, shifted]: the characters that a key has with AltGr, whatever the layout; see hid/layouts.py
  altGrCharacters = {};

  // mac: the events are those of a browser on macOS; language: of its person
  constructor({ mac = false, language } = {}) {
    this.#mac = mac;
    this.#macIsoKeys = new MacIsoKeys(language);
  }

  // event: of KeyboardEvent. Without flags it tells nothing of modifiers.
  press(event) {
    const { key, repeat, timeStamp } = event;
    const code = this.#mac ? this.#macIsoKeys.press(event) : event.code;
    if (!code) return [];
    const kinds = this.#kindsOf(code, key);
    const flagged = this.#flagged(event);
    const changes = this.#dropLost(flagged, kinds);
    const isUnreleased = this.#isUnreleased(flagged, kinds);
    if (repeat && (!isUnreleased || this.#down.has(code))) return changes;
    if (this.#isTap(code, key)) return [...changes, ...this.#tap(event, code)];
    if (isUnreleased) return [...changes, ...this.#forget(code), ...this.#tap(event, code)];
    const isAltGr = code === 'AltRight' && key === 'AltGraph';
    if (isAltGr && timeStamp - this.#down.get('ControlLeft')?.at <= AT_ONCE_MS) {
      changes.push(...this.#forget('ControlLeft'));
    }
    // Of an AltGr that is held, and repeats.
    if (code === 'ControlLeft' && this.#down.get('AltRight')?.kinds.includes('AltGraph') && flagged?.has('Alt')) {
      return changes;
    }
    if (this.#down.has(code)) {
      // Its release was kept from the page. Of modifiers the flags have told.
      if (repeat !== false || kinds.length > 0) return changes;
      changes.push(...this.#forget(code));
    }
    if (kinds.length === 0) {
      changes.push(...this.#addHidden(flagged, event));
      this.#afterDead = key === 'Dead' || key === 'Compose';
    } else if (key === 'Compose') this.#afterDead = true;
    // Of what the person's system has made another key of (Compose), flags tell nothing.
    const isTold = MODIFIERS.includes(key) || key === undefined;
    this.#down.set(code, { at: timeStamp, kinds, isTold, wasFlagged: kinds.some((kind) => flagged?.has(kind)) });
    this.#chord = this.#down.size === RELEASE_CHORD.length && RELEASE_CHORD.every((each) => this.#down.has(each));
    changes.push({ code, down: true });
    return changes;
  }

  // `leave` says that the person let go of the chord that gives the keyboard back.
  release(event) {
    const { key } = event;
    const code = this.#mac ? this.#macIsoKeys.release(event) : event.code;
    if (this.#isSwitch(code)) return { changes: this.#tap(event, code), leave: false };
    const leave = this.#chord;
    this.#chord = false;
    const changes = this.#dropLost(this.#flagged(event), this.#kindsOf(code, key));
    if (code === RELEASE_ONLY_CODE && !this.#down.has(code)) changes.push(...this.#tap(event, code));
    changes.push(...this.#forget(code));
    // macOS says nothing of keys that are let go while Command is down.
    if (code === 'MetaLeft' || code === 'MetaRight')
      changes.push(...this.#forgetAll(({ kinds }) => kinds.length === 0));
    return { changes: [...changes, ...this.releaseHidden()], leave };
  }

  // What any other event, of the mouse, tells of modifiers that are up.
  reconcile(event) {
    return this.#dropLost(this.#flagged(event), []);
  }

  // The modifiers that a mouse button is pressed with.
  addHidden(event) {
    return this.#addHidden(this.#flagged(event), event);
  }

  // What the browser has hidden is down for as long as a key or a mouse button is.
  releaseHidden() {
    return this.anyPlain ? [] : this.#forgetAll(({ isAdded }) => isAdded);
  }

  // All of it, as the device does for a text. What is held still is hidden from now on.
  letGo() {
    this.#chord = false;
    return this.#forgetAll(() => true);
  }

  clear() {
    const held = this.#down.size > 0;
    this.#down.clear();
    this.#chord = false;
    this.#afterDead = false;
    return held;
  }

  get any() {
    return this.#down.size > 0;
  }

  // Other than modifiers.
  get anyPlain() {
    return [...this.#down.values()].some(({ kinds }) => kinds.length === 0);
  }

  // The modifiers that are down by the event; null if it does not tell.
  #flagged(event) {
    const { code, key, shiftKey, ctrlKey, altKey, metaKey } = event;
    if (shiftKey === undefined) return null;
    const has = (name) => event.getModifierState?.(name) ?? false;
    const isShift = shiftKey || (has('NumLock') && PAD_CODES.test(code) && SHIFTED_PAD_KEYS.test(key));
    // Older Firefox calls the Windows key so.
    const meta = metaKey || has('OS');
    const flags = [isShift, ctrlKey, altKey, meta, !this.#mac && has('AltGraph')];
    return new Set(MODIFIERS.filter((_, index) => flags[index]));
  }

  // By its place and by what the person's system has made of it: either may be in the flags.
  #kindsOf(code, key) {
    const kinds = MODIFIERS.filter((kind) => kind === key);
    const place = isModifier(code) && code.replace(/(Left|Right)$/, '');
    return place && !kinds.includes(place) ? [place, ...kinds] : kinds;
  }

  // Modifiers that were let go unseen. `own`: of the event's own key, of whose other half the flags tell nothing yet.
  #dropLost(flagged, own) {
    if (!flagged) return [];
    const isLost = (held) => {
      const isFlagged = held.kinds.some((kind) => flagged.has(kind));
      held.wasFlagged ||= isFlagged;
      if (held.kinds.length === 0 || isFlagged || held.kinds.some((kind) => own.includes(kind))) return false;
      // Ctrl and Alt that make AltGr are no more in the flags.
      if (flagged.has('AltGraph') && held.kinds.some((kind) => kind === 'Control' || kind === 'Alt')) return false;
      // Not all browsers tell of AltGr.
      return held.wasFlagged || (held.isTold && !held.kinds.includes('AltGraph'));
    };
    const isMetaLost = [...this.#down.values()].some((held) => held.kinds.includes('Meta') && isLost(held));
    const changes = this.#forgetAll(isLost);
    if (changes.length > 0) this.#chord = false;
    // What the system took with it (Windows+Shift+S) it has not let go here either.
    if (isMetaLost) changes.push(...this.#forgetAll(({ kinds }) => kinds.length === 0));
    return changes;
  }

  #addHidden(flagged, event) {
    if (!flagged) return [];
    // AltGr that one character alone has told of is not that of the next.
    const changes = this.#forgetAll(({ isAdded, wasFlagged }) => isAdded && !wasFlagged);
    const held = new Set([...this.#down.values()].flatMap(({ kinds }) => kinds));
    const wanted = { Shift: 'ShiftLeft', Control: 'ControlLeft', Alt: 'AltLeft', Meta: 'MetaLeft' };
    const add = (code, kind) => {
      this.#down.set(code, { kinds: [kind], wasFlagged: flagged.has(kind), isAdded: true });
      changes.push({ code, down: true });
    };
    const hasAlt = held.has('Alt') || held.has('AltGraph');
    const needsAltGr = !hasAlt && this.#needsAltGr(flagged, held, event);
    for (const [kind, code] of Object.entries(wanted)) {
      // Windows tells of AltGr as of Ctrl and Alt.
      if ((kind === 'Control' || kind === 'Alt') && (needsAltGr || held.has('AltGraph'))) continue;
      if (flagged.has(kind) && !held.has(kind)) add(code, kind);
    }
    if (needsAltGr) add('AltRight', 'AltGraph');
    return changes;
  }

  #needsAltGr(flagged, held, { code, key }) {
    if (this.#mac) return false;
    if (flagged.has('AltGraph')) return true;
    if (this.#afterDead && !flagged.has('Control')) return false;
    if (flagged.has('Meta') || flagged.has('Control') !== flagged.has('Alt') || held.has('Control')) return false;
    const [plain, shifted] = this.altGrCharacters[code] ?? ['', ''];
    return key?.length === 1 && (flagged.has('Shift') ? shifted : plain).includes(key);
  }

  // macOS says of Caps Lock not that it is pressed and let go, but that it is on and off.
  #isSwitch(code) {
    return this.#mac && code === 'CapsLock';
  }

  // macOS says nothing of keys that are let go while Command is down.
  #isUnreleased(flagged, kinds) {
    return this.#mac && kinds.length === 0 && (flagged?.has('Meta') ?? false);
  }

  #isTap(code, key) {
    if (key === 'Process' && TAKEN_CODES.test(code)) return true;
    return this.#isSwitch(code) || PRESS_ONLY_KEYS.test(key) || PRESS_ONLY_CODES.test(code);
  }

  // With the modifiers that the browser hides, but for those that the key is itself.
  #tap(event, code) {
    this.#chord = false;
    const hidden = isModifier(code) ? [] : this.#addHidden(this.#flagged(event), event);
    return [...hidden, { code, down: true }, { code, down: false }, ...this.releaseHidden()];
  }

  #forget(code) {
    return this.#down.delete(code) ? [{ code, down: false }] : [];
  }

  #forgetAll(isMeant) {
    return [...this.#down].filter(([, held]) => isMeant(held)).flatMap(([code]) => this.#forget(code));
  }
}

export function isModifier(code) {
  return /^(Control|Shift|Alt|Meta)(Left|Right)$/.test(code);
}
