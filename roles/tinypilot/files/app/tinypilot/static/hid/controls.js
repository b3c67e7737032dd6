// SPDX-License-Identifier: MIT
// The bar of keyboard and mouse, wired to the socket and to what captures them. Its state is on the root
// element (data-control, data-usb, data-captured), where style sheets and tests read it.

import { t } from '../common/i18n.js';
import { load } from '../common/load.js';
import { Capture } from './capture.js';
import { BUILT_IN, describe, loadOwn, Recorder, saveOwn } from './combinations.js';
import { describeControls, nameOf } from './controls-state.js';
import { InputSocket } from './input-socket.js';

// What a person is offered to make agree: the bit of its LED, the button.
const LOCKS = { NumLock: [1, 'agree-num-lock'], CapsLock: [2, 'agree-caps-lock'] };
const TOOLS = ['./paste-dialog.js', './uncoded-keys.js']; // of those who have the controls
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
  #layouts = []; // of the device
  #tools = null; // once they are loaded
  #keyboard = null; // the on-screen one, once it is loaded
  #locks = { NumLock: { here: null, there: false }, CapsLock: { here: null, there: false } };
  #screen;

  // noteVersion: is told which page the device has
  constructor({ url, stage, screen, noteVersion = () => {} }) {
    this.#stage = stage;
    this.#screen = screen;
    this.#socket = new InputSocket(url);
    this.#capture = new Capture({ stage, screen, socket: this.#socket });
    this.#socket.addEventListener('welcome', ({ detail }) => {
      this.#me = detail.person;
      this.#capture.codes = new Set(detail.codes);
      this.#capture.altGrCharacters = detail.altGrCharacters ?? {};
      this.#layouts = detail.layouts;
      this.#tools?.then(({ paste }) => {
        paste.layouts = detail.layouts;
      });
      noteVersion(detail.version);
    });
    this.#socket.addEventListener('state', ({ detail }) => this.#show(detail));
    this.#socket.addEventListener('lost', () => this.#show(null));
    // What is typed is still sent: mostly the line stalls for a moment.
    this.#socket.addEventListener('silence', ({ detail }) => {
      this.#root.dataset.inputSilent = String(detail.isSilent);
      this.#show(this.#state);
    });
    this.#capture.addEventListener('change', () => this.#showCapture());
    this.#capture.addEventListener('locks', ({ detail }) => {
      for (const code in LOCKS) this.#showLock(code, { here: detail[code] });
    });
    this.#capture.addEventListener('leave', async () => {
      // The bar is not there while the picture fills the screen.
      if (document.fullscreenElement) await document.exitFullscreen();
      byId('control-ask').focus();
    });

    this.#capture.layout = () => byId('paste-layout').value;
    this.#socket.addEventListener('untypable', ({ detail }) => this.#showUntypable(detail.characters));
    this.#wire(stage);
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

  #wire(stage) {
    byId('control-ask').addEventListener('click', () => {
      if (this.#control === 'free') this.#take();
      else this.#socket.say(this.#control === 'mine' ? 'give-up' : 'ask');
    });
    for (const [code, [, button]] of Object.entries(LOCKS)) {
      byId(button).addEventListener('click', () => {
        this.#combine([code]);
        this.#showLock(code, { wasPressed: true });
        stage.focus();
      });
    }
    // A click on the picture of a computer that nobody controls means: I do.
    stage.addEventListener('pointerdown', () => this.#control === 'free' && this.#take());
    byId('open-paste').addEventListener('click', async () => (await this.#loadTools()).paste.open());
    byId('open-keyboard').addEventListener('click', async ({ currentTarget }) => {
      this.#keyboard ??= this.#loadKeyboard();
      this.#keyboard.catch(() => {
        this.#keyboard = null;
      });
      await this.#keyboard;
      const shown = byId('keyboard').hidden;
      byId('keyboard').hidden = !shown;
      currentTarget.setAttribute('aria-expanded', String(shown));
    });
    byId('open-soft-keyboard').addEventListener('click', async () => {
      // At once: a phone shows its keyboard for what a finger has done, not for what comes later.
      byId('soft-keyboard').focus();
      const { openSoftKeyboard } = await load(new URL('./soft-keyboard.js', import.meta.url));
      openSoftKeyboard(byId('soft-keyboard'), {
        say: (...message) => this.#socket.say(...message),
        layout: this.#capture.layout,
      });
    });
    byId('lock-pointer').addEventListener('click', () => {
      stage.focus();
      stage.requestPointerLock();
    });
    // Phones have neither.
    byId('lock-pointer').hidden = !stage.requestPointerLock;
    byId('fullscreen').hidden = !(document.fullscreenEnabled && stage.parentElement.requestFullscreen);
    byId('fullscreen').addEventListener('click', () => this.#fill(stage));
    document.addEventListener('fullscreenchange', () => document.fullscreenElement || this.#showLeader(false));
    for (const codes of BUILT_IN) this.#addCombination(byId('combinations'), codes);
    this.#wireRecorder();
  }

  // What only those need who have the controls.
  #loadTools() {
    this.#tools ??= Promise.all(TOOLS.map((name) => load(new URL(name, import.meta.url)))).then(
      ([{ PasteDialog, showCharacter }, { identify }]) => {
        this.#capture.identify = identify;
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
        paste.layouts = this.#layouts;
        return { paste, showCharacter };
      },
    );
    // What did not arrive is asked for again by who wants it next.
    this.#tools.catch(() => {
      this.#tools = null;
    });
    return this.#tools;
  }

  async #loadKeyboard() {
    const { OnScreenKeyboard } = await load(new URL('./on-screen-keyboard.js', import.meta.url));
    const keyboard = new OnScreenKeyboard(byId('keyboard'), {
      press: (codes) => this.#combine(codes),
      hold: (code, down) => this.#capture.hold(code, down),
    });
    const showLocks = () => {
      keyboard.leds = this.#state?.leds ?? 0;
    };
    showLocks();
    this.#socket.addEventListener('state', showLocks);
    this.#capture.addEventListener('release', () => keyboard.letGo());
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
    const isLocked = await navigator.keyboard?.lock?.().then(
      () => true,
      () => false,
    );
    this.#showLeader(!isLocked);
    stage.focus();
  }

  async #showLeader(needed) {
    const { Leader, describeLeader } = needed ? await load(new URL('./leader.js', import.meta.url)) : {};
    this.#capture.leader = needed ? new Leader() : null;
    byId('leader-hint').hidden = !needed;
    if (needed) write(byId('leader-keys'), describeLeader());
  }

  #wireRecorder() {
    const button = byId('record-combination');
    let recorder = null;
    const stop = () => {
      recorder = null;
      button.setAttribute('aria-pressed', 'false');
    };
    const learn = (codes) => {
      if (!codes) return;
      saveOwn([...loadOwn(), codes]);
      stop();
      this.#showOwn();
    };
    button.addEventListener('click', () => {
      recorder = recorder ? null : new Recorder();
      button.setAttribute('aria-pressed', String(recorder !== null));
    });
    button.addEventListener('blur', stop);
    button.addEventListener('keydown', (event) => {
      if (!recorder || !this.#capture.codes.has(event.code)) return;
      event.preventDefault();
      learn(recorder.press(event));
    });
    button.addEventListener('keyup', (event) => {
      if (!recorder) return;
      event.preventDefault();
      learn(recorder.release(event));
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
    if (control === 'mine') this.#loadTools();
    this.#root.dataset.control = control;
    this.#root.dataset.usb = state?.usb ?? 'unknown';
    if (state) this.#socket.hasControls = control === 'mine';
    const isSilent = state && this.#root.dataset.inputSilent === 'true';
    write(byId('control-text'), isSilent ? t('Keyboard and mouse: the device does not answer') : text);
    write(byId('control-problem'), problem);
    const ask = byId('control-ask');
    ask.hidden = control === 'watching' || control === 'offline';
    write(ask, ASK[control] ?? '');
    for (const part of document.querySelectorAll('[data-needs-control]')) part.disabled = control !== 'mine';
    for (const [bit, id] of [
      [1, 'led-num'],
      [2, 'led-caps'],
      [4, 'led-scroll'],
    ])
      byId(id).hidden = !(state?.leds & bit);
    for (const [code, [bit]] of Object.entries(LOCKS)) this.#showLock(code, { there: Boolean(state?.leds & bit) });
    this.#showAsking(asking);
    this.#capture.enabled = control === 'mine' || this.#taking;
    // What is typed next is for the computer, unless the person has turned to something else meanwhile.
    if (isGiven && [ask, document.body].includes(document.activeElement)) this.#stage.focus();
  }

  async #showUntypable(characters) {
    const { showCharacter } = await this.#loadTools();
    const shown = characters.map(showCharacter).join(' ');
    write(byId('control-problem'), t("This layout can't type: {characters}", { characters: shown }));
  }

  // Offered once: a computer without the lock, as a Mac, does not light it either.
  #showLock(code, news) {
    const lock = this.#locks[code];
    if ('there' in news && news.there !== lock.there) lock.wasPressed = false;
    const { here, there, wasPressed } = Object.assign(lock, news);
    const isAlike = here === null || here === there;
    byId(LOCKS[code][1]).hidden = this.#control !== 'mine' || isAlike || wasPressed === true;
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
    this.#root.dataset.leader = String(this.#capture.isLeaderNext);
  }
}

// Only changes are written: a screen reader is told each once.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
