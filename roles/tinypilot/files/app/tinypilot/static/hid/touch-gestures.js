// SPDX-License-Identifier: MIT
// What fingers mean: a tap clicks, a tap and a touch that moves or stays drags, a long press is the right button, one
// finger moves the pointer, two scroll, or pinch when they go opposite ways. Answers are lists of {move}, {click},
// {press}, {release}, {scroll}, {pinch}. Free of the browser.

const SLOP_PX = 12;
export const LONG_PRESS_MS = 500;
// Of two touches that belong together, as of a double click.
const AGAIN_MS = 400;
const AGAIN_PX = 40;
const LEFT = 0;
const RIGHT = 2;

const middle = (one, other) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });
const distance = (one, other) => Math.hypot(one.x - other.x, one.y - other.y);

export class TouchGestures {
  #fingers = new Map(); // id -> {x, y}
  #start = null; // {x, y, at} of the first finger, while it may still be a tap
  #tap = null; // the last one: {x, y, at} of its end
  #mayDrag = false; // the first finger came right after a tap
  #drags = false;
  #scrolled = false;
  #starts = new Map(); // of two fingers, when the second came
  #pinches = false;

  // isPrimary: for the browser there is no other finger. The end of those that seem to be was kept from the page.
  down(id, point, now, isPrimary = false) {
    if (isPrimary) this.#fingers.clear();
    this.#fingers.set(id, point);
    this.#scrolled = this.#fingers.size > 1;
    this.#pinches = false;
    this.#starts = new Map(this.#fingers);
    const drop = this.#drop();
    this.#start = this.#scrolled ? null : { ...point, at: now };
    this.#mayDrag = this.#tap !== null && now - this.#tap.at <= AGAIN_MS && distance(point, this.#tap) <= AGAIN_PX;
    this.#tap = null;
    return this.#scrolled ? drop : [...drop, { move: point }];
  }

  move(id, point) {
    const before = this.#fingers.get(id);
    if (!before) return [];
    const were = [...this.#fingers.values()];
    this.#fingers.set(id, point);
    if (this.#fingers.size === 2) {
      const are = [...this.#fingers.values()];
      this.#pinches ||= this.#areOpposite();
      const factor = distance(...are) / Math.max(1, distance(...were));
      if (this.#pinches) return [{ pinch: { factor, from: middle(...were), to: middle(...are) } }];
    }
    if (this.#fingers.size > 1) {
      // Each finger counts half: together they move by what the hand does.
      return [{ scroll: { deltaX: (before.x - point.x) / 2, deltaY: (before.y - point.y) / 2 } }];
    }
    if (this.#scrolled) return [];
    if (this.#start && distance(point, this.#start) < SLOP_PX) return [];
    const grab = this.#start && this.#mayDrag ? this.#grab() : [];
    this.#start = null;
    return [...grab, { move: point }];
  }

  // Asked LONG_PRESS_MS after each down().
  wait(now) {
    if (!this.#start || now - this.#start.at < LONG_PRESS_MS) return [];
    this.#start = null;
    return this.#mayDrag ? this.#grab() : [{ click: RIGHT }];
  }

  up(id, now) {
    const point = this.#fingers.get(id);
    const tapped = this.#start !== null && point !== undefined;
    this.#fingers.delete(id);
    this.#start = null;
    if (!tapped) return this.#drop();
    this.#tap = { ...point, at: now };
    return [{ click: LEFT }];
  }

  cancel() {
    this.#fingers.clear();
    this.#start = this.#tap = null;
    this.#drags = false;
  }

  // How two fingers have moved so far.
  #areOpposite() {
    const [one, other] = [...this.#fingers].map(([id, { x, y }]) => {
      const start = this.#starts.get(id);
      return { x: x - start.x, y: y - start.y };
    });
    const isFar = [one, other].every(({ x, y }) => Math.hypot(x, y) >= SLOP_PX);
    return isFar && one.x * other.x + one.y * other.y < 0;
  }

  #grab() {
    this.#drags = true;
    return [{ press: LEFT }];
  }

  #drop() {
    if (!this.#drags) return [];
    this.#drags = false;
    return [{ release: LEFT }];
  }
}
