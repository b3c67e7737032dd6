// SPDX-License-Identifier: MIT
// The WebSocket that the page has opened before its modules were there (early-signalling.js), for janus.js: what janus.js
// asks first was asked already, so it gets those answers under the names of its own questions, and all else as it comes.

// The questions, in their order; each was asked by this name.
const QUESTIONS = ['create', 'attach', 'message'];

class EarlySocket extends EventTarget {
  #early;
  #unasked = [...QUESTIONS];
  #names = new Map(); // of questions, as janus.js has named them

  constructor(early) {
    super();
    this.#early = early;
    early.deliver = (text) => {
      early.heard.push(text);
      this.#deliver();
    };
    early.socket.addEventListener('close', () => this.dispatchEvent(new Event('close')));
    const open = () => this.dispatchEvent(new Event('open'));
    // Its reader has yet to listen.
    if (early.socket.readyState === WebSocket.OPEN) queueMicrotask(open);
    else early.socket.addEventListener('open', open);
  }

  get readyState() {
    return this.#early.socket.readyState;
  }

  send(text) {
    const { janus, transaction } = JSON.parse(text);
    if (janus !== this.#unasked[0]) {
      this.#early.socket.send(text);
      return;
    }
    this.#names.set(this.#unasked.shift(), transaction);
    queueMicrotask(() => this.#deliver());
  }

  close() {
    this.#early.socket.close();
  }

  // In the order in which it came. What janus.js has not asked for yet waits.
  #deliver() {
    const { heard } = this.#early;
    while (heard.length > 0) {
      const told = JSON.parse(heard[0]);
      if (this.#unasked.includes(told.transaction)) return;
      const name = this.#names.get(told.transaction);
      const data = name ? JSON.stringify({ ...told, transaction: name }) : heard[0];
      heard.shift();
      this.dispatchEvent(new MessageEvent('message', { data }));
    }
  }
}

// Once, and while it is good; then null.
export function takeEarlySocket() {
  const early = globalThis.earlySignalling;
  delete globalThis.earlySignalling;
  return early?.socket.readyState <= WebSocket.OPEN ? new EarlySocket(early) : null;
}
