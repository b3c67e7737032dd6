// SPDX-License-Identifier: MIT
// What to try when signalling is up and no frame comes. Pure, so that its patience can be tested.
// Light first (watch again on the same handle), then everything anew, then ever more slowly.

const FIRST_PATIENCE_MS = 4000;
// A way that is open again is to be found within 15 s.
const MAX_PATIENCE_MS = 8000;
// A picture that ends sooner healed nothing. After each `watch` the plugin plays what it remembers, also where the
// encoder hangs: that is fresh for a moment.
const STEADY_MS = 5000;

export const Remedy = Object.freeze({ NONE: null, WATCH: 'watch', REBUILD: 'rebuild' });

export class Recovery {
  #since = null;
  #freshSince = null;
  #tried = 0;

  // facts: fresh, expecting (a picture should come: the plugin offered one, or was asked and is
  // silent, and the source is not known to be offline), mediaUp (the peer connection is connected)
  next(now, { fresh, expecting, mediaUp }) {
    this.#freshSince = fresh ? (this.#freshSince ?? now) : null;
    if (fresh && now - this.#freshSince >= STEADY_MS) this.#tried = 0;
    if (fresh || !expecting) {
      this.#since = null;
      return Remedy.NONE;
    }
    this.#since ??= now;
    const patience = Math.min(FIRST_PATIENCE_MS * 2 ** Math.max(0, this.#tried - 1), MAX_PATIENCE_MS);
    if (now - this.#since < patience) return Remedy.NONE;
    this.#since = now;
    this.#tried += 1;
    return this.#tried === 1 && mediaUp ? Remedy.WATCH : Remedy.REBUILD;
  }
}
