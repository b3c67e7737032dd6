// SPDX-License-Identifier: MIT
// The WebSocket of keyboard and mouse. It comes back by itself; what is said meanwhile is lost on
// purpose, because a key must never arrive late.

import { Backoff } from '../common/backoff.js';

const ALIVE_MS = 500;
// See hid/playout.py. Who types lets go sooner.
const HELD_AFTER_MS = 120;
const HELD_EACH_MS = 60;
// The device answers at once; a line may stall for a second in each direction.
const PING_MS = 600;
const SILENT_PINGS = 2;
const LOST_PINGS = 7;
// In a network that is gone an attempt to connect ends long after the network is back.
const CONNECT_MS = 3000;
// What is older is no moment of an event.
const EVENT_AGE_MAX_MS = 1000;

export class InputSocket extends EventTarget {
  #url;
  #socket = null;
  #backoff = new Backoff();
  #timer = null;
  #running = false;
  #held = false;
  #heldTimer = null;
  #unanswered = 0; // pings in a row
  #isSilent = false;
  #connectTimer = null;
  // Proves to the device that this page has the controls, also on the next connection.
  #secret = null;
  #provenSecret = null;

  constructor(url) {
    super();
    this.#url = url;
    // While something is down the device wants to hear that this page still runs.
    setInterval(() => this.#held && this.say('alive'), ALIVE_MS);
    setInterval(() => this.#listen(), PING_MS);
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#connectTimer);
    this.#socket?.close(1000); // for good: nothing is to be given back
  }

  // Whether this page has the controls: after the connection was lost it gets them back.
  set hasControls(has) {
    this.#provenSecret = has ? this.#secret : null;
  }

  retryNow() {
    this.#backoff.reset();
    if (this.#running && !this.#socket) this.#connect();
  }

  set held(held) {
    this.#held = held;
  }

  // Whether a key is down that the computer would repeat: it does for as long as it hears of it.
  set keyHeld(held) {
    if (held === (this.#heldTimer !== null)) return;
    clearTimeout(this.#heldTimer);
    const tell = () => {
      this.say('held', {}, performance.now());
      this.#heldTimer = setTimeout(tell, HELD_EACH_MS);
    };
    this.#heldTimer = held ? setTimeout(tell, HELD_AFTER_MS) : null;
  }

  // at: when it happened, by the clock of events
  say(type, fields = {}, at = undefined) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const message = { type, ...fields };
    const now = performance.now();
    if (at !== undefined) message.at = Math.round(now - EVENT_AGE_MAX_MS < at && at <= now ? at : now);
    this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    clearTimeout(this.#timer);
    clearTimeout(this.#connectTimer);
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#unanswered = 0;
    this.#connectTimer = setTimeout(() => this.#giveUp(), CONNECT_MS);
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket !== socket) return;
      clearTimeout(this.#connectTimer);
      this.#backoff.reset();
      this.#unanswered = 0;
      this.#showSilence(false);
      const message = JSON.parse(data);
      if (message.type === 'welcome') {
        if (this.#provenSecret) this.say('resume', { token: this.#provenSecret });
        this.#secret = message.secret;
      }
      this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
    });
    socket.addEventListener('close', () => this.#socket === socket && this.#lose());
  }

  #lose() {
    clearTimeout(this.#connectTimer);
    this.#socket = null;
    this.#showSilence(false);
    this.dispatchEvent(new Event('lost'));
    if (this.#running) this.#timer = setTimeout(() => this.#connect(), this.#backoff.next());
  }

  // Not waited for: in a network that is gone closing takes a minute.
  #giveUp() {
    this.#socket?.close();
    this.#lose();
  }

  // Counts, because a browser may hold up the timers of a page.
  #listen() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#unanswered >= LOST_PINGS) {
      this.#giveUp();
      return;
    }
    if (this.#unanswered >= SILENT_PINGS) this.#showSilence(true);
    this.#unanswered += 1;
    this.say('ping');
  }

  #showSilence(isSilent) {
    if (isSilent === this.#isSilent) return;
    this.#isSilent = isSilent;
    this.dispatchEvent(new CustomEvent('silence', { detail: { isSilent } }));
  }
}
