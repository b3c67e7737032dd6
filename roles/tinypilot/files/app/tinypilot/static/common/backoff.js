// SPDX-License-Identifier: MIT
// How long to wait before the next try: short at first, growing to a cap, never twice the same
// for everybody, so that ten open pages do not knock on a booting device in step.

export class Backoff {
  #wake = null;

  constructor({ first = 150, factor = 1.4, cap = 1000, jitter = 0.2, random = Math.random } = {}) {
    Object.assign(this, { first, factor, cap, jitter, random });
    this.reset();
  }

  reset() {
    this.delay = this.first;
  }

  next() {
    const delay = this.delay;
    this.delay = Math.min(this.delay * this.factor, this.cap);
    return Math.round(delay * (1 + this.jitter * (2 * this.random() - 1)));
  }

  // As long as next() says, unless it is ended.
  wait() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.next());
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  endWait() {
    this.#wake?.();
  }
}
