// SPDX-License-Identifier: MIT
// Whole steps of a mouse wheel out of what browsers say, which are pixels, lines or pages. A wheel turns by notches,
// each of which is a step, whatever the browser's zoom and the system's settings make of it; a touchpad and a wheel
// of high resolution move smoothly, which adds up. Free of the browser.

const PIXELS_A_STEP = 100;
const LINES_A_STEP = 3;
// As browsers have it without zoom.
const NOTCHES_PX = [100, 120];
// A notch at the largest zoom. Touchpads begin more slowly.
const LEAST_NOTCH_PX = 20;
// A slow notch on a Mac, and times so much a faster one; no touchpad says so.
const MAC_NOTCH_PX = 4.000244140625;
const ROUNDING_PX = 0.5;
// More than any hand turns.
const DELTA_MAX = 1e6;
// Events of one movement of the hand are closer together.
const PAUSE_MS = 200;
const [LINES, PAGES] = [1, 2]; // WheelEvent.deltaMode

export class WheelSteps {
  #axes = { x: new Axis(), y: new Axis() };

  // Of a WheelEvent, or of fingers, which move smoothly. pixelRatio: of the page's zoom, by which browsers divide.
  // Down and right are positive for browsers; up and right are for USB.
  notches(event, { pixelRatio = 1, isSmooth = false } = {}) {
    // First: Firefox has lines for who asks, and pixels for who has read a distance before.
    const { deltaMode = 0 } = event;
    const { deltaX, deltaY, timeStamp } = event;
    const steps = (axis, delta) => axis.steps(delta, { deltaMode, timeStamp, pixelRatio, isSmooth });
    return { wheel: -steps(this.#axes.y, deltaY) || 0, pan: steps(this.#axes.x, deltaX) };
  }
}

class Axis {
  #direction = 0;
  #rest = 0; // of a step
  #at; // of the last event
  #isSmooth = false; // the movement that goes on
  #notch = null; // pixels that one seems to have
  #owed = null; // what its first notch was more than its pixels, until a second is like it

  steps(delta, { deltaMode, timeStamp, pixelRatio, isSmooth }) {
    if (!delta) return 0;
    const size = Math.min(DELTA_MAX, Math.abs(delta));
    const direction = Math.sign(delta);
    // Another direction begins anew.
    if (direction !== this.#direction) this.#rest = 0;
    this.#direction = direction;
    const isNew = !(timeStamp - this.#at <= PAUSE_MS);
    this.#at = timeStamp;
    if (deltaMode === LINES) return direction * this.#whole(size, LINES_A_STEP);
    if (deltaMode === PAGES) return direction * this.#whole(size, 1);
    if (isNew) this.#isSmooth = isSmooth;
    if (!isSmooth && size % MAC_NOTCH_PX === 0) return direction;
    return direction * (this.#notchesIn(size, isNew, pixelRatio) ?? this.#add(size / PIXELS_A_STEP));
  }

  // Systems let people choose how many lines a notch has.
  #whole(size, unitsAStep) {
    return Number.isInteger(size) ? Math.max(1, Math.round(size / unitsAStep)) : this.#add(size / unitsAStep);
  }

  // null: these pixels are no notches.
  #notchesIn(size, isNew, pixelRatio) {
    if (this.#isSmooth) return null;
    const known = [this.#notch, ...NOTCHES_PX.map((each) => each / pixelRatio), ...NOTCHES_PX];
    const counts = known.map((notch) => {
      const count = notch ? Math.round(size / notch) : 0;
      return Math.abs(size - count * notch) > ROUNDING_PX ? 0 : count;
    });
    // A hand begins with one notch: not all systems have their zoom in the pixels.
    const isOne = isNew && counts.includes(1);
    const count = isOne ? 1 : counts.find((each) => each > 0);
    if (count) {
      // It may have been two: then half of it comes as well.
      if (isOne || (count === 1 && size < this.#notch)) this.#notch = size;
      this.#owed = null;
      return count;
    }
    if (isNew && size >= LEAST_NOTCH_PX) {
      this.#notch = size;
      this.#owed = 1 - size / PIXELS_A_STEP;
      return 1;
    }
    this.#isSmooth = true;
    if (this.#owed !== null && !isNew) {
      this.#rest -= this.#owed;
      this.#notch = null;
    }
    return null;
  }

  #add(steps) {
    this.#rest += steps;
    // A step is not lost to rounding: 10 times 0.1 is less than 1.
    const whole = Math.max(0, Math.floor(this.#rest + 1e-9));
    this.#rest -= whole;
    return whole;
  }
}
