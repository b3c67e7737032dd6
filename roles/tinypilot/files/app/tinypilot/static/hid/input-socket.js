// SPDX-License-Identifier: MIT
// The WebSocket of keyboard and mouse. It comes back by itself; what is said meanwhile is lost on
// purpose, because a key must never arrive late.

import { Backoff } from '../common/backoff.js';

const ALIVE_MS = 500;
// See hid/playout.py. Who types lets go sooner.
const HELD_AFTER_MS = 120;
const HELD_EACH_MS = 60;
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

  constructor(url) {
    super();
    this.#url = url;
    // While something is down the device wants to hear that this page still runs.
    setInterval(() => this.#held && this.say('alive'), ALIVE_MS);
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#socket?.close();
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
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      this.#backoff.reset();
      const message = JSON.parse(data);
      this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
    });
    socket.addEventListener('close', () => {
      this.#socket = null;
      this.dispatchEvent(new Event('lost'));
      if (this.#running) this.#timer = setTimeout(() => this.#connect(), this.#backoff.next());
    });
  }
}
