// SPDX-License-Identifier: MIT
// The buttons of the Picture menu: how the picture lies, and what is made of it. What makes it is loaded then.

import { t } from '../common/i18n.js';
import { load } from '../common/load.js';

const byId = (id) => document.getElementById(id);

export class PictureMenu {
  #connection;
  #view;
  #device;
  #stats = null;
  #recording = null;
  #transport = null;

  // device: its name, for the files
  constructor({ connection, view, device }) {
    this.#connection = connection;
    this.#view = view;
    this.#device = device;
    const on = (id, action) => byId(id).addEventListener('click', action);
    on('view-actual', () => {
      view.isActual = !view.isActual;
      this.#press('view-actual', view.isActual);
    });
    on('view-rotate', () => view.rotateRight());
    on('take-screenshot', () => this.#takeScreenshot());
    on('record', () => (this.#recording ? this.#recording.stop() : this.#record()));
    on('show-stats', () => this.#toggleStats());
    on('picture-in-picture', () => this.#float());
    this.#press('view-actual', view.isActual);
    const shape = byId('picture-shape');
    shape.value = view.shape;
    shape.addEventListener('change', () => {
      view.shape = shape.value;
    });
    byId('record').hidden = !('MediaRecorder' in globalThis);
    byId('picture-in-picture').hidden = !document.pictureInPictureEnabled;
    connection.addEventListener('change', ({ detail }) => this.#follow(detail));
  }

  #follow({ transport, state }) {
    const isLive = state === 'live';
    byId('take-screenshot').disabled = !isLive;
    byId('record').disabled = !isLive && !this.#recording;
    // Only a video can float; what comes over a WebSocket is on a canvas.
    byId('picture-in-picture').disabled = !isLive || transport !== 'webrtc';
    // A recording is of one transport.
    if (this.#transport !== transport) this.#recording?.stop();
    this.#transport = transport;
  }

  async #toggleStats() {
    const { StatsOverlay } = await load(new URL('./stats-overlay.js', import.meta.url));
    this.#stats ??= new StatsOverlay(this.#connection);
    this.#stats.toggle();
    this.#press('show-stats', this.#stats.isShown);
  }

  async #takeScreenshot() {
    const { fileName, save, screenshot } = await load(new URL('./recording.js', import.meta.url));
    const { element, width, height } = this.#connection.shown;
    const png = await screenshot(element, { width, height, rotation: this.#view.rotation });
    save(png, fileName(this.#device, new Date(), 'png'));
  }

  async #record() {
    const { fileName, Recording, save } = await load(new URL('./recording.js', import.meta.url));
    if (this.#recording) return; // by an impatient second click
    const began = new Date();
    const recording = new Recording(this.#connection.stream);
    this.#recording = recording;
    this.#press('record', true);
    this.#say(t('Recording. It stops when you click again, or when the video has to reconnect.'));
    recording.addEventListener('end', () => {
      this.#recording = null;
      this.#press('record', false);
      const { blob, extension } = recording;
      if (blob) save(blob, fileName(this.#device, began, extension));
      this.#say(blob ? t('The recording is saved.') : t('Nothing was recorded.'));
    });
  }

  async #float() {
    const { element } = this.#connection.shown;
    // Browsers put a button of their own over a video that does not forbid this.
    element.disablePictureInPicture = false;
    const forbid = () => {
      element.disablePictureInPicture = true;
    };
    element.addEventListener('leavepictureinpicture', forbid, { once: true });
    try {
      await element.requestPictureInPicture();
    } catch (error) {
      forbid();
      this.#say(t('The browser says: {words}', { words: error.message }));
    }
  }

  #press(id, pressed) {
    byId(id).setAttribute('aria-pressed', String(pressed));
  }

  #say(text) {
    byId('picture-result').textContent = text;
  }
}
