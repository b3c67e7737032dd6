// SPDX-License-Identifier: MIT
// The statistics over the picture: to read, and to copy.

import { t } from '../../door/words.js';
import { describeStats } from './stats.js';

const EACH_MS = 1000;

export class StatsOverlay {
  #connection;
  #overlay = document.getElementById('stats');
  #list = document.getElementById('stats-list');
  #copied = document.getElementById('stats-copied');
  #timer = null;
  #text = '';

  constructor(connection) {
    this.#connection = connection;
    document.getElementById('stats-copy').addEventListener('click', () => this.#copy());
    // What is done here is not for the attached computer.
    for (const name of ['pointerdown', 'pointermove', 'pointerup', 'keydown', 'keyup', 'wheel', 'contextmenu']) {
      this.#overlay.addEventListener(name, (event) => event.stopPropagation());
    }
  }

  get isShown() {
    return !this.#overlay.hidden;
  }

  toggle() {
    this.#overlay.hidden = this.isShown;
    clearInterval(this.#timer);
    if (!this.isShown) return;
    this.#copied.textContent = '';
    this.#timer = setInterval(() => this.#refresh(), EACH_MS);
    this.#refresh();
  }

  async #refresh() {
    const lines = describeStats(await this.#connection.figures());
    this.#text = lines.map(([name, value]) => `${name}: ${value}`).join('\n');
    this.#list.replaceChildren(
      ...lines.flatMap(([name, value]) => [element('dt', name), element('dd', value)]),
    );
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(`${new Date().toISOString()}\n${this.#text}\n`);
      this.#copied.textContent = t('Copied.');
    } catch {
      this.#copied.textContent = t('The browser does not let the page copy: select the text.');
    }
  }
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
