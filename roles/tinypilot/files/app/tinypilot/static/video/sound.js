// SPDX-License-Identifier: MIT
// The sound of the attached computer: a button, a volume, a level, and an audio element of its own, so that a browser
// which plays no sound before somebody touches the page still shows the picture. Loaded when sound is wanted.

import { t } from '../common/i18n.js';
import { recall, remember } from '../common/preferences.js';

const REMEMBERED = 'sound';
const TOUCHES = ['pointerup', 'keydown'];
const LEVEL_MS = 100;
// Softer than this the level is 0; 1 is as loud as sound can be.
const SOFTEST_DB = -60;

const isVolume = (value) => Number.isFinite(value) && value >= 0 && value <= 1;
const recallSound = () =>
  recall(REMEMBERED, (value) => typeof value?.on === 'boolean' && isVolume(value.volume)) ?? { on: false, volume: 1 };

// From 0 to 1, for samples from -1 to 1.
export function levelOf(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return Math.max(0, 1 - (10 * Math.log10(power)) / SOFTEST_DB);
}

// Of what comes, whatever the volume.
class Level {
  #context = new AudioContext({ latencyHint: 'playback' });
  #analyser = new AnalyserNode(this.#context);
  #samples = new Float32Array(this.#analyser.fftSize);

  constructor(stream) {
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
  }

  get value() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return levelOf(this.#samples);
  }

  end() {
    this.#context.close();
  }
}

export class Sound {
  #connection;
  #button;
  #slider;
  #meter;
  #audio;
  #newLevel;
  #level = null;
  #levelTimer = null;
  #on = false;
  #touches = null;

  // connection: takes wantsSound, tells of the track; button, slider, meter: elements; audio, newLevel: of a test
  constructor({ connection, button, slider, meter, audio = new Audio(), newLevel = (stream) => new Level(stream) }) {
    this.#connection = connection;
    this.#button = button;
    this.#slider = slider;
    this.#meter = meter;
    this.#audio = audio;
    this.#newLevel = newLevel;
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
    this.#slider.hidden = this.#meter.hidden = !on;
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
    this.#endLevel();
  }

  async #play() {
    this.#touches?.abort();
    try {
      await this.#audio.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError') return; // only a newer track ends it otherwise
      this.#touches = new AbortController();
      for (const touch of TOUCHES) addEventListener(touch, () => this.#play(), { signal: this.#touches.signal });
      return;
    }
    this.#endLevel();
    if (this.#audio.srcObject) this.#beginLevel(this.#audio.srcObject);
  }

  // Not before it plays: a browser that plays nothing measures nothing.
  #beginLevel(stream) {
    const level = this.#newLevel(stream);
    this.#level = level;
    this.#levelTimer = setInterval(() => {
      this.#meter.value = level.value;
    }, LEVEL_MS);
  }

  #endLevel() {
    clearInterval(this.#levelTimer);
    this.#level?.end();
    this.#level = null;
    this.#meter.value = 0;
  }
}
