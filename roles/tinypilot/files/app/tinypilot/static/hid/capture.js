// SPDX-License-Identifier: MIT
// Keyboard, mouse and fingers over the picture, as long as this page has the controls.
// Keys are captured while the picture has the focus; everything is released when it loses it.

import { positionOf } from '../video/picture-map.js';
import { HeldKeys } from './held-keys.js';
import { LONG_PRESS_MS, TouchGestures } from './touch-gestures.js';
import { WheelSteps } from './wheel-steps.js';

// MouseEvent.button: left, middle, right, back, forward. USB: left, right, middle, back, forward.
const USB_BUTTONS = [0, 2, 1, 3, 4];
// As the device takes them in one message, of mouse and wheel.
const STEP_MAX = 4096;
// Names that browsers had before, and Safari has: by the code that others say.
const SAME_PLACE = { OSLeft: 'MetaLeft', OSRight: 'MetaRight' };
const SAME_PLACE_ON_MAC = { ...SAME_PLACE, Help: 'Insert' };
const step = (value) => Math.max(-STEP_MAX, Math.min(STEP_MAX, Math.round(value)));

const hasPlace = ({ code }) => Boolean(code) && code !== 'Unidentified';

// Whether the person's keyboard has a lock on; null while that changes, or is not known.
function stateOf(lock, event) {
  return event.code === lock ? null : (event.getModifierState?.(lock) ?? null);
}

export class Capture extends EventTarget {
  #stage;
  #screen;
  #socket;
  // iPads and iPhones tell of the keys of a keyboard as Macs do.
  #isMac = /^(Mac|iP)/.test(navigator.platform);
  #keys = new HeldKeys({ mac: this.#isMac, language: navigator.language });
  #buttons = new Set();
  #held = new Set(); // modifiers of the on-screen keyboard
  #clicking = false; // a button was pressed here, and not all are up since
  #wheel = new WheelSteps();
  #touch = new TouchGestures();
  #leader = null; // where the browser keeps keys for itself
  #enabled = false;
  codes = new Set(); // of the keys that the computer knows; all others stay the browser's

  layout = () => ''; // of the attached computer, for keys that are known by what they type alone
  identify = () => null; // see uncoded-keys.js, which is loaded with the controls

  // See HeldKeys.
  set altGrCharacters(characters) {
    this.#keys.altGrCharacters = characters;
  }

  // stage: the element that takes the focus; screen: {width, height} of the picture, {box, view} of where it is shown
  constructor({ stage, screen, socket }) {
    super();
    this.#stage = stage;
    this.#screen = screen;
    this.#socket = socket;
    this.#listen();
  }

  set enabled(enabled) {
    if (this.#enabled && !enabled) this.releaseAll();
    this.#enabled = enabled;
    if (!enabled && this.isRelative) document.exitPointerLock();
    this.#report();
  }

  get isCapturing() {
    return this.#enabled && document.activeElement === this.#stage && document.hasFocus();
  }

  get isRelative() {
    return document.pointerLockElement === this.#stage;
  }

  // Of leader.js, while it is needed.
  set leader(leader) {
    this.#leader = leader;
    this.#report();
  }

  get isLeaderNext() {
    return this.#leader?.isNext ?? false;
  }

  releaseAll() {
    this.#leader?.cancel();
    const keys = this.#keys.clear();
    const buttons = this.#buttons.size + this.#held.size > 0;
    this.#held.clear();
    this.#buttons.clear();
    this.#clicking = false;
    this.#touch.cancel();
    if (keys || buttons) {
      this.#socket.say('release');
      this.dispatchEvent(new Event('release'));
    }
    this.#note();
  }

  // A modifier of the on-screen keyboard.
  hold(code, down) {
    if (!this.#enabled) return;
    if (down) this.#held.add(code);
    else this.#held.delete(code);
    this.#socket.say('key', { code, down });
    this.#note();
  }

  leave() {
    this.releaseAll();
    if (this.isRelative) document.exitPointerLock();
    this.#stage.blur();
    this.dispatchEvent(new Event('leave'));
  }

  #listen() {
    const stage = this.#stage;
    const on = (target, name, action, options) => target.addEventListener(name, action, options);
    on(stage, 'keydown', (event) => this.#keyDown(event));
    on(stage, 'keypress', (event) => this.#keyPress(event));
    on(stage, 'keyup', (event) => this.#keyUp(event));
    on(stage, 'focus', () => this.#report());
    on(stage, 'blur', () => {
      this.releaseAll();
      this.#report();
    });
    on(globalThis, 'blur', () => {
      this.releaseAll();
      this.#report();
    });
    on(globalThis, 'focus', () => this.#report());
    on(globalThis, 'pagehide', () => this.releaseAll());
    on(document, 'visibilitychange', () => document.hidden && this.releaseAll());
    on(document, 'pointerlockchange', () => {
      this.releaseAll();
      this.#report();
    });
    on(stage, 'pointerdown', (event) => this.#pointerDown(event));
    on(stage, 'pointermove', (event) => this.#pointerMove(event));
    on(stage, 'pointerup', (event) => this.#pointerUp(event));
    on(stage, 'pointercancel', () => this.releaseAll());
    on(stage, 'wheel', (event) => this.#wheelTurned(event), { passive: false });
    on(stage, 'contextmenu', (event) => event.preventDefault());
    on(stage, 'auxclick', (event) => event.preventDefault());
  }

  // With the place of the key where the browser has none, or another than others, or the character that it types.
  #identified(event) {
    const same = (this.#isMac ? SAME_PLACE_ON_MAC : SAME_PLACE)[event.code];
    if (!same && hasPlace(event)) return event;
    const { code, character } = same ? { code: same } : (this.identify(event) ?? {});
    const { key, repeat, timeStamp, shiftKey, ctrlKey, altKey, metaKey } = event;
    const getModifierState = (name) => event.getModifierState?.(name) ?? false;
    return { code, character, key, repeat, timeStamp, shiftKey, ctrlKey, altKey, metaKey, getModifierState };
  }

  #keyDown(trueEvent) {
    const event = this.#identified(trueEvent);
    if (this.isCapturing && event.character) {
      trueEvent.preventDefault();
      trueEvent.stopPropagation();
      this.#typeCharacter(event, event.character);
      return;
    }
    if (!this.isCapturing || !this.codes.has(event.code)) return;
    trueEvent.preventDefault();
    trueEvent.stopPropagation();
    const wasNext = this.isLeaderNext;
    const combination = this.#leader?.press(event);
    if (wasNext) this.#report();
    if (combination) this.#socket.say('combination', { codes: combination });
    else this.#send(this.#keys.press(event), event);
    // A Mac has no Num Lock.
    const NumLock = this.#isMac ? null : stateOf('NumLock', event);
    const CapsLock = stateOf('CapsLock', event);
    this.dispatchEvent(new CustomEvent('locks', { detail: { NumLock, CapsLock } }));
  }

  #keyUp(trueEvent) {
    const event = this.#identified(trueEvent);
    if (!this.isCapturing || !this.codes.has(event.code)) return;
    trueEvent.preventDefault();
    trueEvent.stopPropagation();
    this.#leader?.release(event);
    if (this.isLeaderNext) this.#report();
    const { changes, leave } = this.#keys.release(event);
    this.#send(changes, event);
    if (leave) this.leave();
  }

  // Of dictation and of programs that type, some browsers tell the character here alone.
  #keyPress(event) {
    const character = event.key === 'Enter' ? '\n' : event.key;
    if (!this.isCapturing || hasPlace(event) || character?.length !== 1) return;
    event.preventDefault();
    this.#typeCharacter(event, character);
  }

  // Shift and AltGr are those that the layout needs for it. The device lets go of all that is held before.
  #typeCharacter(event, character) {
    this.#send(this.#keys.letGo(), event);
    const { ctrlKey, altKey, metaKey, timeStamp } = event;
    const isAltGr = event.getModifierState?.('AltGraph') || (ctrlKey && altKey);
    const flags = { ControlLeft: ctrlKey && !isAltGr, AltLeft: altKey && !isAltGr && !this.#isMac, MetaLeft: metaKey };
    const held = new Set([...this.#held, ...Object.keys(flags).filter((code) => flags[code])]);
    this.#socket.say('characters', { layout: this.layout(), text: character, held: [...held] }, timeStamp);
    // Those of the on-screen keyboard are held until they are clicked again.
    for (const code of this.#held) this.#socket.say('key', { code, down: true });
  }

  #send(changes, { timeStamp }) {
    for (const change of changes) this.#socket.say('key', change, timeStamp);
    this.#note();
  }

  #note() {
    this.#socket.held = this.#keys.any || this.#buttons.size + this.#held.size > 0;
    this.#socket.keyHeld = this.#keys.anyPlain;
  }

  // Chords of mouse buttons: all but the first come as pointermove, so buttons are compared. What was pressed
  // elsewhere, and is dragged over the picture, is not the computer's.
  #pointerDown(event) {
    if (this.#isOnScrollbar(event)) return;
    if (event.pointerType === 'touch') {
      const { pointerId, timeStamp, isPrimary } = event;
      this.#finger(this.#touch.down(pointerId, this.#point(event), timeStamp, isPrimary));
      setTimeout(() => this.#finger(this.#touch.wait(performance.now())), LONG_PRESS_MS);
      return;
    }
    // A locked pointer is captured already, and browsers refuse to do it again.
    if (!this.isRelative) this.#stage.setPointerCapture(event.pointerId);
    this.#mouse(event);
  }

  #pointerMove(event) {
    if (event.pointerType === 'touch') this.#finger(this.#touch.move(event.pointerId, this.#point(event)));
    else this.#mouse(event);
  }

  #pointerUp(event) {
    if (event.pointerType === 'touch') this.#finger(this.#touch.up(event.pointerId, event.timeStamp));
    else this.#mouse(event);
  }

  #mouse(event) {
    if (!this.#enabled) return;
    this.#send(this.#keys.reconcile(event), event);
    const relative = this.isRelative;
    if (!relative) this.#moveTo(this.#point(event));
    else if (event.type === 'pointermove') {
      if (event.movementX || event.movementY) {
        this.#socket.say('step', { x: step(event.movementX), y: step(event.movementY) });
      }
    }
    if (event.type === 'pointerdown') {
      this.#clicking = true;
      this.#send(this.#keys.addHidden(event), event);
    }
    if (!this.#clicking) return;
    for (let bit = 0; bit < 5; bit++) this.#button(bit, (event.buttons & (1 << bit)) !== 0, relative);
    this.#clicking = event.buttons !== 0;
    if (!this.#clicking) this.#send(this.#keys.releaseHidden(), event);
  }

  // PointerEvent.buttons counts as USB does: left, right, middle, back, forward.
  #button(button, down, relative) {
    if (down === this.#buttons.has(button)) return;
    if (down) this.#buttons.add(button);
    else this.#buttons.delete(button);
    this.#socket.say('button', { button, down, relative });
    this.#note();
  }

  #moveTo(point) {
    const { box, width, height, view } = this.#screen;
    const place = positionOf(point, box, width, height, view);
    if (place) this.#socket.say('move', place);
  }

  #finger(actions) {
    // Who only watches may look closer, too.
    for (const { pinch } of actions) if (pinch) this.#screen.pinch(pinch);
    if (!this.#enabled) return;
    for (const { move, click, press, release, scroll } of actions) {
      if (move) this.#moveTo(move);
      if (scroll) this.#scrollBy(scroll, { isSmooth: true });
      if (click !== undefined) {
        for (const down of [true, false]) this.#button(USB_BUTTONS[click], down, false);
      }
      if (press !== undefined) this.#button(USB_BUTTONS[press], true, false);
      if (release !== undefined) this.#button(USB_BUTTONS[release], false, false);
    }
  }

  #wheelTurned(event) {
    if (!this.#enabled) return;
    event.preventDefault();
    this.#send(this.#keys.reconcile(event), event);
    // A Mac's wheel does not depend on zoom, and its screen's pixels are of no account.
    this.#scrollBy(event, { pixelRatio: this.#isMac ? 1 : devicePixelRatio });
  }

  #scrollBy(delta, how) {
    const { wheel, pan } = this.#wheel.notches(delta, how);
    if (wheel || pan) this.#socket.say('wheel', { wheel: step(wheel), pan: step(pan), relative: this.isRelative });
  }

  #isOnScrollbar({ clientX, clientY }) {
    const { left, top, width, height } = this.#screen.box;
    return clientX >= left + width || clientY >= top + height;
  }

  #point({ clientX, clientY }) {
    return { x: clientX, y: clientY };
  }

  #report() {
    this.dispatchEvent(new Event('change'));
  }
}
