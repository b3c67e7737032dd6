// SPDX-License-Identifier: MIT
// The statistics over the picture: to read, and to copy.

import { t } from '../common/i18n.js';
import { DeviceClock, describeStats, StreamRates } from './stats.js';

const EACH_MS = 1000;

export class StatsOverlay {
  #connection;
  #overlay = document.getElementById('stats');
  #list = document.getElementById('stats-list');
  #copied = document.getElementById('stats-copied');
  #timer = null;
  #text = '';
  #peerConnection = null;
  #clock = new DeviceClock();
  #rates = new StreamRates();

  constructor(connection) {
    this.#connection = connection;
    connection.addEventListener('clock', ({ detail }) => this.#clock.note(detail));
    document.getElementById('stats-copy').addEventListener('click', () => this.#copy());
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

  async #figures() {
    const { transport, shown, peerConnection } = this.#connection;
    const { width, height } = shown;
    if (transport !== 'webrtc') {
      const { framesPerSecond, bitsPerSecond, latencyMs: captureToScreenMs } = shown;
      return { transport, width, height, framesPerSecond, bitsPerSecond, captureToScreenMs, isWithoutNetwork: true };
    }
    if (peerConnection !== this.#peerConnection) {
      // The device may be another after a restart, as its clock is.
      this.#peerConnection = peerConnection;
      this.#clock = new DeviceClock();
      this.#rates = new StreamRates();
    }
    this.#connection.askClock();
    const report = await peerConnection?.getStats().catch(() => null);
    const captureToScreenMs = shown.presented ? this.#clock.age(shown.presented) : null;
    return { transport, width, height, captureToScreenMs, ...this.#rates.next(performance.now(), report) };
  }

  async #refresh() {
    const lines = describeStats(await this.#figures());
    this.#text = lines.map(([name, value]) => `${name}: ${value}`).join('\n');
    this.#list.replaceChildren(...lines.flatMap(([name, value]) => [element('dt', name), element('dd', value)]));
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(`${new Date().toISOString()}\n${this.#text}\n`);
      this.#copied.textContent = t('Copied.');
    } catch {
      this.#copied.textContent = t('The browser does not allow copying. Select the text and copy it.');
    }
  }
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
