// SPDX-License-Identifier: MIT
// What the capture service says about the attached computer. The page needs it to tell
// "no signal" from "no picture yet": the frames alone cannot.

export const Source = Object.freeze({
  ONLINE: 'online', // a computer is attached and sends a picture
  OFFLINE: 'offline', // nothing is attached, or it is off or asleep
  SILENT: 'silent', // said to be online, and nothing is captured: a lost cable on some chips
  DOWN: 'down', // the device answers, its capture service does not
  UNKNOWN: 'unknown', // nobody could be asked
});

// How long a bad reading must hold: a capture service says all of these while it starts.
const BELIEVE_AFTER_MS = { [Source.OFFLINE]: 600, [Source.SILENT]: 1500 };
const BELIEVE_AFTER_START_MS = 2500;

// Reads uStreamer's /state.
export function interpretSource(answer) {
  const source = answer?.result?.source;
  if (typeof source?.online !== 'boolean') return Source.UNKNOWN;
  if (!source.online) return Source.OFFLINE;
  return source.captured_fps === 0 ? Source.SILENT : Source.ONLINE;
}

export async function askSource(url, { timeout = 1500, fetch = globalThis.fetch } = {}) {
  try {
    const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(timeout) });
    if (response.ok) return interpretSource(await response.json());
    // 500 is nginx that could not ask the web app who this is: that says nothing of the capture service.
    return response.status === 500 ? Source.UNKNOWN : Source.DOWN;
  } catch {
    return Source.UNKNOWN;
  }
}

// What comes over the video cable, in words: {state, title, words}; null: not known.
export async function askSignal(url, { timeout = 1500, fetch = globalThis.fetch } = {}) {
  try {
    const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(timeout) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

export class SourceWatch {
  #reading = null;
  #since = 0;
  #patience = 0;
  state = Source.UNKNOWN;

  get isOff() {
    return this.state === Source.OFFLINE || this.state === Source.SILENT;
  }

  note(now, reading) {
    if (reading !== this.#reading) {
      const started = this.#reading === Source.UNKNOWN || this.#reading === Source.DOWN;
      this.#patience = started ? BELIEVE_AFTER_START_MS : BELIEVE_AFTER_MS[reading];
      // Nothing else is known when the page has just been opened.
      if (this.#reading === null) this.#patience = 0;
      this.#reading = reading;
      this.#since = now;
    }
    const isGood = BELIEVE_AFTER_MS[reading] === undefined;
    // The computer is on again, and its frames are not counted yet.
    const isBetter = this.state === Source.OFFLINE && reading === Source.SILENT;
    if (isGood || isBetter || now - this.#since >= this.#patience) this.state = reading;
  }
}
