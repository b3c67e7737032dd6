// SPDX-License-Identifier: MIT
// The bar of keyboard and mouse, wired to the socket and to what captures them. Its state is on the root
// element (data-control, data-usb, data-captured), where style sheets and tests read it.

import { t } from '../common/i18n.js';
import { Capture } from './capture.js';
import { BUILT_IN, describe, loadOwn, Recorder, saveOwn } from './combinations.js';
import { describeControls, nameOf } from './controls-state.js';
import { InputSocket } from './input-socket.js';
import { buildKeyboard } from './on-screen-keyboard.js';
import { PasteDialog } from './paste-dialog.js';

const NUM_LOCK_LED = 1;
const byId = (id) => document.getElementById(id);
// By who has the controls now.
const ASK = { mine: t('Give up the controls'), free: t('Take the controls'), theirs: t('Ask for the controls') };

export class Controls {
  #root = document.documentElement;
  #socket;
  #capture;
  #state = null;
  #me = 0;
  #control = 'offline';
  #taking = false; // nobody had the controls, and this page has asked
  #stage;
  #screen;
  #numLock = { here: null, there: false, wasPressed: false };

  constructor({ url, stage, screen }) {
    this.#stage = stage;
    this.#screen = screen;
    this.#socket = new InputSocket(url);
    this.#capture = new Capture({ stage, screen, socket: this.#socket });
    this.#socket.addEventListener('welcome', ({ detail }) => {
      this.#me = detail.person;
      this.#capture.codes = new Set(detail.codes);
      this.#capture.altGrCharacters = detail.altGrCharacters ?? {};
      paste.layouts = detail.layouts;
    });
    this.#socket.addEventListener('state', ({ detail }) => this.#show(detail));
    this.#socket.addEventListener('lost', () => this.#show(null));
    this.#capture.addEventListener('change', () => this.#showCapture());
    this.#capture.addEventListener('numlock', ({ detail }) => this.#showNumLock({ here: detail }));
    this.#capture.addEventListener('leave', async () => {
      // The bar is not there while the picture fills the screen.
      if (document.fullscreenElement) await document.exitFullscreen();
      byId('control-ask').focus();
    });

    const paste = new PasteDialog(
      {
        dialog: byId('paste'),
        text: byId('paste-text'),
        layout: byId('paste-layout'),
        pace: byId('paste-pace'),
        missing: byId('paste-missing'),
        mend: byId('paste-mend'),
        instead: byId('paste-instead'),
        replace: byId('paste-replace'),
        leaveOut: byId('paste-leave-out'),
        start: byId('paste-start'),
        cancel: byId('paste-cancel'),
        progress: byId('paste-progress'),
        result: byId('paste-result'),
      },
      this.#socket,
    );
    buildKeyboard(byId('keyboard'), (codes) => this.#combine(codes));
    this.#wire(stage, paste);
    this.#showOwn();
    this.#show(null);
  }

  start() {
    this.#socket.start();
  }

  stop() {
    this.#capture.releaseAll();
    this.#socket.stop();
  }

  retryNow() {
    this.#socket.retryNow();
  }

  #wire(stage, paste) {
    byId('control-ask').addEventListener('click', () => {
      if (this.#control === 'free') this.#take();
      else this.#socket.say(this.#control === 'mine' ? 'give-up' : 'ask');
    });
    byId('agree-num-lock').addEventListener('click', () => {
      this.#combine(['NumLock']);
      this.#showNumLock({ wasPressed: true });
      stage.focus();
    });
    // A click on the picture of a computer that nobody controls means: I do.
    stage.addEventListener('pointerdown', () => this.#control === 'free' && this.#take());
    byId('open-paste').addEventListener('click', () => paste.open());
    byId('open-keyboard').addEventListener('click', ({ currentTarget }) => {
      const shown = byId('keyboard').hidden;
      byId('keyboard').hidden = !shown;
      currentTarget.setAttribute('aria-expanded', String(shown));
    });
    byId('lock-pointer').addEventListener('click', () => {
      stage.focus();
      stage.requestPointerLock();
    });
    // Phones have neither.
    byId('lock-pointer').hidden = !stage.requestPointerLock;
    byId('fullscreen').hidden = !(document.fullscreenEnabled && stage.parentElement.requestFullscreen);
    byId('fullscreen').addEventListener('click', () => this.#fill(stage));
    for (const codes of BUILT_IN) this.#addCombination(byId('combinations'), codes);
    this.#wireRecorder();
  }

  // Keys are sent at once: the device reads them after the question, and then they are the owner's.
  #take() {
    this.#socket.say('ask');
    this.#taking = this.#capture.enabled = true;
    this.#stage.focus();
  }

  // Fullscreen is where browsers let a page have keys such as Alt+Tab and Escape.
  async #fill(stage) {
    await stage.parentElement.requestFullscreen({ navigationUI: 'hide' });
    await navigator.keyboard?.lock?.();
    stage.focus();
  }

  #wireRecorder() {
    const button = byId('record-combination');
    let recorder = null;
    const stop = () => {
      recorder = null;
      button.setAttribute('aria-pressed', 'false');
    };
    button.addEventListener('click', () => {
      recorder = recorder ? null : new Recorder();
      button.setAttribute('aria-pressed', String(recorder !== null));
    });
    button.addEventListener('blur', stop);
    button.addEventListener('keydown', (event) => {
      if (!recorder || !this.#capture.codes.has(event.code)) return;
      event.preventDefault();
      recorder.press(event);
    });
    button.addEventListener('keyup', (event) => {
      if (!recorder) return;
      event.preventDefault();
      const codes = recorder.release(event);
      if (!codes) return;
      saveOwn([...loadOwn(), codes]);
      stop();
      this.#showOwn();
    });
  }

  #showOwn() {
    const list = byId('own-combinations');
    list.replaceChildren();
    for (const codes of loadOwn()) {
      const item = this.#addCombination(list, codes);
      const remove = document.createElement('button');
      remove.type = 'button';
      remove.textContent = '\u00d7';
      remove.setAttribute('aria-label', t('Remove {combination}', { combination: describe(codes) }));
      remove.addEventListener('click', () => {
        const rest = loadOwn().filter((each) => describe(each) !== describe(codes));
        saveOwn(rest);
        this.#showOwn();
        byId('record-combination').focus(); // not nowhere, where this button was
      });
      item.append(remove);
    }
  }

  #addCombination(list, codes) {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = describe(codes);
    button.addEventListener('click', () => this.#combine(codes));
    item.append(button);
    list.append(item);
    return item;
  }

  #combine(codes) {
    this.#socket.say('combination', { codes });
  }

  #show(state) {
    this.#state = state;
    const { control, text, problem, asking } = describeControls(this.#state, this.#me);
    const isGiven = this.#control === 'theirs' && control === 'mine';
    if (control === 'mine' && this.#control !== 'mine') this.#screen.watchBars();
    this.#control = control;
    this.#taking &&= control === 'free';
    this.#root.dataset.control = control;
    this.#root.dataset.usb = state?.usb ?? 'unknown';
    write(byId('control-text'), text);
    write(byId('control-problem'), problem);
    const ask = byId('control-ask');
    ask.hidden = control === 'watching' || control === 'offline';
    write(ask, ASK[control] ?? '');
    for (const part of document.querySelectorAll('[data-needs-control]')) part.disabled = control !== 'mine';
    for (const [bit, id] of [
      [NUM_LOCK_LED, 'led-num'],
      [2, 'led-caps'],
      [4, 'led-scroll'],
    ])
      byId(id).hidden = !(state?.leds & bit);
    this.#showNumLock({ there: Boolean(state?.leds & NUM_LOCK_LED) });
    this.#showAsking(asking);
    this.#capture.enabled = control === 'mine' || this.#taking;
    // What is typed next is for the computer, unless the person has turned to something else meanwhile.
    if (isGiven && [ask, document.body].includes(document.activeElement)) this.#stage.focus();
  }

  // Offered once: a computer without the lock, as a Mac, does not light it either.
  #showNumLock(news) {
    if ('there' in news && news.there !== this.#numLock.there) this.#numLock.wasPressed = false;
    const { here, there, wasPressed } = Object.assign(this.#numLock, news);
    byId('agree-num-lock').hidden = this.#control !== 'mine' || here === null || here === there || wasPressed;
  }

  #showAsking(asking) {
    const list = byId('control-asking');
    const shown = asking.map(({ number }) => number).join();
    if (list.dataset.shown === shown) return; // a button that is being clicked stays
    list.dataset.shown = shown;
    list.replaceChildren();
    for (const person of asking) {
      const item = document.createElement('li');
      item.append(t('{name} asks for the controls', { name: nameOf(person) }), ' ');
      for (const [yes, label] of [
        [true, t('Give')],
        [false, t('Keep')],
      ]) {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = label;
        button.addEventListener('click', () => this.#socket.say('answer', { person: person.number, yes }));
        item.append(button, ' ');
      }
      list.append(item);
    }
  }

  #showCapture() {
    this.#root.dataset.captured = String(this.#capture.isCapturing);
  }
}

// Only changes are written: a screen reader is told each once.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
