// SPDX-License-Identifier: MIT
// The video transport on the page: the choice in the Picture menu, which this browser remembers, the reason in words,
// and data-transport on the root element for style sheets and tests.

import { recall, remember } from '../common/preferences.js';
import { describeTransport, Transport } from './transport.js';

const REMEMBERED = 'picture-transport';

export class TransportMenu {
  #root = document.documentElement;
  #note = document.getElementById('transport-note');

  constructor(connection) {
    const remembered = recall(REMEMBERED, (value) => Object.values(Transport).includes(value));
    if (remembered) connection.pin = remembered;
    for (const choice of document.querySelectorAll('input[name=transport]')) {
      choice.checked = choice.value === (connection.pin ?? '');
      choice.addEventListener('change', () => {
        connection.pin = choice.value || null;
        remember(REMEMBERED, choice.value || null);
      });
    }
  }

  // detail: of the connection's change
  show({ state, transport, reason }) {
    this.#root.dataset.transport = transport;
    // Without a picture other words say what is wrong.
    const text = state === 'live' ? describeTransport(transport, reason) : '';
    if (this.#note.textContent === text) return;
    this.#note.textContent = text;
    this.#note.hidden = text === '';
  }
}
