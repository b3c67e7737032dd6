// SPDX-License-Identifier: MIT
// What to try when signalling is up and no frame comes. Pure, so that its patience can be tested.
// Light first (watch again on the same handle), then everything anew, then ever more slowly.

const FIRST_PATIENCE_MS = 4000;
// A way that is open again is to be found within 15 s.
const MAX_PATIENCE_MS = 8000;
// A picture that ends sooner healed nothing: the plugin plays what it remembers after each `watch`, and whenever a
// browser misses a key frame, also where the encoder hangs. That is fresh for a moment.
const STEADY_MS = 5000;
// Nobody asks while there is no link, and a hidden page asks once a second.
const MAX_STEP_MS = 1000;

export const Remedy = Object.freeze({ NONE: null, WATCH: 'watch', REBUILD: 'rebuild' });

export class Recovery {
  #askedAt = null;
  #missed = 0; // ms without a fresh picture, since the last remedy or the last steady picture
  #freshSince = null;
  #tried = 0;
  #watching = false; // the last remedy was WATCH, and no steady picture has followed

  // facts: fresh, expecting (a picture should come: the plugin offered one, or was asked and is
  // silent, and the source is not known to be offline), mediaUp (the peer connection is connected)
  next(now, { fresh, expecting, mediaUp }) {
    const elapsed = Math.min(now - (this.#askedAt ?? now), MAX_STEP_MS);
    this.#askedAt = now;
    this.#freshSince = fresh ? (this.#freshSince ?? now) : null;
    if (fresh && now - this.#freshSince >= STEADY_MS) {
      this.#tried = 0;
      this.#watching = false;
      this.#missed = 0;
    }
    if (fresh) return Remedy.NONE;
    // A source that comes and goes must not put off for ever the new session that follows a watch in vain.
    if (!(expecting || this.#watching)) {
      this.#missed = 0;
      return Remedy.NONE;
    }
    this.#missed += elapsed;
    const patience = Math.min(FIRST_PATIENCE_MS * 2 ** Math.max(0, this.#tried - 1), MAX_PATIENCE_MS);
    if (this.#missed < patience) return Remedy.NONE;
    this.#missed = 0;
    this.#tried += 1;
    this.#watching = this.#tried === 1 && mediaUp;
    return this.#watching ? Remedy.WATCH : Remedy.REBUILD;
  }
}
