// SPDX-License-Identifier: MIT
// The WebSocket of keyboard and mouse. It comes back by itself; what is said meanwhile is lost on
// purpose, because a key must never arrive late.

import { Backoff } from '../common/backoff.js';

const ALIVE_MS = 500;

export class InputSocket extends EventTarget {
  #url;
  #socket = null;
  #backoff = new Backoff();
  #timer = null;
  #running = false;
  #held = false;

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

  say(type, fields = {}) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, ...fields }));
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
