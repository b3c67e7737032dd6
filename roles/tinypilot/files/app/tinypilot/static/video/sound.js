// SPDX-License-Identifier: MIT
// The sound of the attached computer: a button, a volume, and an audio element of its own, so that a browser which
// plays no sound before somebody touches the page still shows the picture. Loaded when sound is wanted.

import { t } from '../common/i18n.js';
import { recall, remember } from '../common/preferences.js';

const REMEMBERED = 'sound';
const TOUCHES = ['pointerup', 'keydown'];

const isVolume = (value) => Number.isFinite(value) && value >= 0 && value <= 1;
const recallSound = () =>
  recall(REMEMBERED, (value) => typeof value?.on === 'boolean' && isVolume(value.volume)) ?? { on: false, volume: 1 };

export class Sound {
  #connection;
  #button;
  #slider;
  #audio;
  #on = false;
  #touches = null;

  // connection: takes wantsSound, tells of the track; button, slider: elements; audio: of a test
  constructor({ connection, button, slider, audio = new Audio() }) {
    this.#connection = connection;
    this.#button = button;
    this.#slider = slider;
    this.#audio = audio;
    audio.volume = recallSound().volume;
    slider.value = audio.volume * 100;
    button.addEventListener('click', () => {
      this.on = !this.#on;
    });
    slider.addEventListener('input', () => {
      audio.volume = slider.value / 100;
      this.#remember();
    });
    connection.addEventListener('sound', ({ detail }) => this.#hear(detail.track));
    connection.addEventListener('change', ({ detail }) => this.#follow(detail));
  }

  get on() {
    return this.#on;
  }

  set on(on) {
    this.#on = on;
    this.#button.setAttribute('aria-pressed', String(on));
    this.#slider.hidden = !on;
    this.#connection.wantsSound = on;
    if (!on) this.#silence();
    else if (this.#connection.soundTrack) this.#hear(this.#connection.soundTrack);
    this.#remember();
  }

  #remember() {
    remember(REMEMBERED, { on: this.#on, volume: this.#audio.volume });
  }

  // Over a WebSocket there is a picture alone.
  #follow({ transport }) {
    const isPossible = transport === 'webrtc';
    this.#button.disabled = !isPossible;
    this.#button.title = isPossible ? t('Sound') : t('Sound comes with WebRTC only.');
  }

  #hear(track) {
    if (!this.#on) return;
    this.#audio.srcObject = new MediaStream([track]);
    this.#play();
  }

  #silence() {
    this.#touches?.abort();
    this.#audio.pause();
    this.#audio.srcObject = null;
  }

  #play() {
    this.#touches?.abort();
    this.#audio.play().catch((error) => {
      if (error.name !== 'NotAllowedError') return; // only a newer track ends it otherwise
      this.#touches = new AbortController();
      for (const touch of TOUCHES) addEventListener(touch, () => this.#play(), { signal: this.#touches.signal });
    });
  }
}
