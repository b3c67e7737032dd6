// SPDX-License-Identifier: MIT
// A WebSocket that reports a lost connection at once. The browser's own takes minutes to notice
// a network that went away, and its close event arrives late, when janus.js may already use another one.
// This one looks like a WebSocket to janus.js, gives up on silence, and never speaks again after.

export class WatchedSocket extends EventTarget {
  #socket;
  #patience;
  #timer = null;
  #over = false;

  constructor(url, protocol, { openWithin = 3000, answerWithin = 2500 } = {}) {
    super();
    this.#patience = answerWithin;
    this.#socket = new WebSocket(url, protocol);
    this.#socket.addEventListener('open', () => this.#heard(new Event('open')));
    this.#socket.addEventListener('message', (event) => {
      this.#heard(new MessageEvent('message', { data: event.data }));
    });
    this.#socket.addEventListener('close', () => this.#lose('closed'));
    this.#expectSomething(openWithin);
  }

  get readyState() {
    return this.#over ? WebSocket.CLOSED : this.#socket.readyState;
  }

  // The Janus protocol answers every request: whatever is sent must be followed by something heard.
  send(text) {
    if (this.readyState !== WebSocket.OPEN) return;
    this.#socket.send(text);
    if (this.#timer === null) this.#expectSomething(this.#patience);
  }

  close() {
    this.#lose('closed');
  }

  #expectSomething(within) {
    this.#timer = setTimeout(() => this.#lose('silent'), within);
  }

  #heard(event) {
    if (this.#over) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.dispatchEvent(event);
  }

  #lose(reason) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket.close();
    // janus.js listens to error while it connects and to close afterwards; this page to lost.
    this.dispatchEvent(new Event('error'));
    this.dispatchEvent(new Event('close'));
    this.dispatchEvent(new CustomEvent('lost', { detail: reason }));
  }
}
