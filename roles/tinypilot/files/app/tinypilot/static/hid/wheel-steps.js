// SPDX-License-Identifier: MIT
// Whole steps of a mouse wheel out of what browsers say, which are pixels, lines or pages, and often
// fractions. Free of the browser.

const PIXELS_A_STEP = 100;
const PIXELS_A_LINE = 33;
const PIXELS_A_PAGE = 800;
const UNITS = [1, PIXELS_A_LINE, PIXELS_A_PAGE]; // by WheelEvent.deltaMode

export class WheelSteps {
  #rest = { x: 0, y: 0 };

  // Down and right are positive for browsers; up and right are for USB.
  notches({ deltaX, deltaY, deltaMode = 0 }) {
    return { wheel: -this.#steps('y', deltaY * UNITS[deltaMode]) || 0, pan: this.#steps('x', deltaX * UNITS[deltaMode]) };
  }

  #steps(axis, pixels) {
    // Another direction begins anew.
    if (this.#rest[axis] * pixels < 0) this.#rest[axis] = 0;
    this.#rest[axis] += pixels / PIXELS_A_STEP;
    const steps = Math.trunc(this.#rest[axis]) || 0;
    this.#rest[axis] -= steps;
    return steps;
  }
}
