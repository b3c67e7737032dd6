// SPDX-License-Identifier: MIT
// Whether the picture is fresh, told by decoded frames alone. A video element's currentTime runs
// on while nothing is decoded, so it is never asked. One frame alone proves nothing either: a closing
// connection paints its last one again, and a plugin may hand out a cached one. A run of them does.

export const RUN_MS = 100;
const MIN_PATIENCE_MS = 1000;
const MAX_PATIENCE_MS = 3000;
const GAPS_OF_PATIENCE = 3;
const WEIGHT = 0.1;
const LONGEST_RHYTHM_MS = 1500; // anything longer was an interruption
// One missed frame costs all that follow it up to the next key frame.
const UNKNOWN_KEY_FRAME_DISTANCE_MS = 2000;
const MAX_KEY_FRAME_DISTANCE_MS = 9000;

export class FrameWatch {
  #runStart = 0;
  #last = null;
  #gap = 0;
  #span = 0;
  #keyFrameAt = null;
  #keyFrameDistance = UNKNOWN_KEY_FRAME_DISTANCE_MS;

  // `count` key frames were decoded since the previous call that noted one.
  noteKeyFrames(now, count) {
    if (count <= 0) return;
    if (this.#keyFrameAt !== null) {
      this.#keyFrameDistance = Math.min((now - this.#keyFrameAt) / count, MAX_KEY_FRAME_DISTANCE_MS);
    }
    this.#keyFrameAt = now;
  }

  // Whether the frames that are missing may all be owed to one that was lost: the next key frame would show.
  mayResume(now) {
    return this.age(now) < Math.max(this.#keyFrameDistance, UNKNOWN_KEY_FRAME_DISTANCE_MS) + MIN_PATIENCE_MS;
  }

  // `count` frames were decoded since the previous call. Frames that were counted, not seen one by one,
  // are noted once per count: `span` is the time it covers, and no shorter gap than that is a loss.
  note(now, count = 1, span = 0) {
    if (count <= 0) return;
    if (this.age(now) >= Math.max(this.patience, 2 * span, 2 * this.#span)) this.#runStart = now;
    if (this.#last !== null) {
      const gap = (now - this.#last) / count;
      if (this.#gap === 0) this.#gap = Math.min(gap, LONGEST_RHYTHM_MS);
      else if (gap <= LONGEST_RHYTHM_MS) this.#gap += WEIGHT * (gap - this.#gap);
    }
    this.#last = now;
    this.#span = span;
  }

  // Patience follows the rhythm: one missing frame of a 1 fps source is no loss.
  get patience() {
    const patience = GAPS_OF_PATIENCE * this.#gap;
    return Math.min(Math.max(patience, MIN_PATIENCE_MS), MAX_PATIENCE_MS);
  }

  get hasSeenFrames() {
    return this.#last !== null;
  }

  age(now) {
    return this.#last === null ? Infinity : now - this.#last;
  }

  isFresh(now, { patience = this.patience, run = RUN_MS } = {}) {
    const patient = Math.max(patience, 2.5 * this.#span);
    return this.age(now) < patient && this.#last - this.#runStart >= run;
  }

  // A new connection starts with nothing proven and with no rhythm of its own.
  reset() {
    this.#last = null;
    this.#gap = 0;
    this.#span = 0;
    this.#keyFrameAt = null;
    this.#keyFrameDistance = UNKNOWN_KEY_FRAME_DISTANCE_MS;
  }
}
