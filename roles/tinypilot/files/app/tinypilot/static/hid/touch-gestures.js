// SPDX-License-Identifier: MIT
// What fingers mean: a tap clicks, a long press is the right button, one finger moves the pointer,
// two scroll. Answers are lists of {move}, {click}, {scroll}. Free of the browser.

const SLOP_PX = 12;
export const LONG_PRESS_MS = 500;
const LEFT = 0;
const RIGHT = 2;

export class TouchGestures {
  #fingers = new Map(); // id -> {x, y}
  #start = null; // {x, y, at} of the first finger, while it may still be a tap
  #scrolled; // the last finger came beside another

  down(id, point, now) {
    this.#fingers.set(id, point);
    this.#scrolled = this.#fingers.size > 1;
    this.#start = this.#scrolled ? null : { ...point, at: now };
    return this.#scrolled ? [] : [{ move: point }];
  }

  move(id, point) {
    const before = this.#fingers.get(id);
    if (!before) return [];
    this.#fingers.set(id, point);
    if (this.#fingers.size > 1) {
      // Each finger counts half: together they move by what the hand does.
      return [{ scroll: { deltaX: (before.x - point.x) / 2, deltaY: (before.y - point.y) / 2 } }];
    }
    if (this.#scrolled) return [];
    if (this.#start && Math.hypot(point.x - this.#start.x, point.y - this.#start.y) < SLOP_PX) return [];
    this.#start = null;
    return [{ move: point }];
  }

  // Asked LONG_PRESS_MS after each down().
  wait(now) {
    if (!this.#start || now - this.#start.at < LONG_PRESS_MS) return [];
    this.#start = null;
    return [{ click: RIGHT }];
  }

  up(id) {
    const tapped = this.#start !== null && this.#fingers.has(id);
    this.#fingers.delete(id);
    this.#start = null;
    return tapped ? [{ click: LEFT }] : [];
  }

  cancel() {
    this.#fingers.clear();
    this.#start = null;
  }
}
