// SPDX-License-Identifier: MIT
// Which way the picture comes, on the page: the choice in the Picture menu, which this browser remembers, the
// reason in words, and data-path on the root element, where style sheets and tests read it.

import { describePath, Path } from './path.js';

const REMEMBERED = 'picture-path';

export class PathMenu {
  #root = document.documentElement;
  #note = document.getElementById('path-note');

  constructor(connection) {
    const remembered = localStorage.getItem(REMEMBERED);
    if (Object.values(Path).includes(remembered)) connection.pin = remembered;
    for (const choice of document.querySelectorAll('input[name=path]')) {
      choice.checked = choice.value === (connection.pin ?? '');
      choice.addEventListener('change', () => {
        connection.pin = choice.value || null;
        if (choice.value) localStorage.setItem(REMEMBERED, choice.value);
        else localStorage.removeItem(REMEMBERED);
      });
    }
  }

  // detail: of the connection's change
  show({ state, path, reason }) {
    this.#root.dataset.path = path;
    // Without a picture other words say what is wrong.
    const text = state === 'live' ? describePath(reason) : '';
    if (this.#note.textContent === text) return;
    this.#note.textContent = text;
    this.#note.hidden = text === '';
  }
}
