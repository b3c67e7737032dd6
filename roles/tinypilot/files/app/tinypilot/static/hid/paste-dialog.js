// SPDX-License-Identifier: MIT
// Types a text on the attached computer. What its layout can't type is listed before anything is typed.

import { language, t } from '../common/i18n.js';
import { recall, remember } from '../common/preferences.js';
import { findReplacements, replaceIn } from './replacements.js';

const CHECK_AFTER_MS = 200;
// As many as hid/messages.py takes. The field itself has no bound: it would cut off the rest without a word.
const LONGEST_TEXT = 20000;
const STORED = { layout: 'paste-layout', pace: 'paste-pace' };
const PACES = ['fast', 'medium', 'slow']; // of hid/outputs.py
// Among letters, marks and signs: fillers, choices of a variant, a blank of Braille, the place of something embedded.
const UNSEEN_ONES = /[\p{Default_Ignorable_Code_Point}\u2800\ufffc]/u;
const WORDS = {
  done: t('Done.'),
  cancelled: t('Cancelled.'),
  disconnected: t('Stopped: the attached computer went away.'),
};

// "U+0007" for what has no picture
export function showCharacter(character) {
  if (/^\p{M}$/u.test(character) && !UNSEEN_ONES.test(character)) return `\u25cc${character}`;
  const printable = /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) && !UNSEEN_ONES.test(character);
  return printable ? character : `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

const UNSEEN = { '': t('nothing'), ' ': t('space'), '\n': t('line break') };

// "“ ” → "   U+00A0 → space"
export function describeReplacements(replacements) {
  const characters = {};
  for (const [character, text] of replacements) {
    characters[text] ??= [];
    characters[text].push(showCharacter(character));
  }
  const described = Object.entries(characters).map(([text, all]) => `${all.join(' ')} \u2192 ${UNSEEN[text] ?? text}`);
  return described.join(' \u00a0 ');
}

// The layout whose name fits best what the browser's person reads.
export function guessLayout(layouts, languages) {
  const ids = layouts.map(({ id }) => id);
  for (const language of languages ?? []) {
    const [main, region] = language.toLowerCase().split(/[-_.@]/);
    const fitting = [`${main}-${region}`, main].find((id) => ids.includes(id));
    if (fitting) return fitting;
    const near = ids.find((id) => id.startsWith(`${main}-`));
    if (near) return main === 'en' ? 'en-us' : near;
  }
  return 'en-us';
}

// In the page's language: "German (Switzerland)".
export function layoutName(id, language) {
  const names = new Intl.DisplayNames(language, { type: 'language', languageDisplay: 'standard' });
  return names.of(id === 'es-latam' ? 'es-419' : id);
}

export class PasteDialog {
  #parts;
  #socket;
  #timer = null;
  #untypable = [];

  // parts: {dialog, text, layout, pace, missing, mend, instead, replace, leaveOut, start, cancel, progress, result}
  constructor(parts, socket) {
    this.#parts = parts;
    this.#socket = socket;
    const { dialog, text, layout, pace, replace, leaveOut, start, cancel } = parts;
    text.addEventListener('input', () => this.#changed());
    layout.addEventListener('change', () => {
      remember(STORED.layout, layout.value);
      this.#changed();
    });
    pace.value = recall(STORED.pace, (value) => PACES.includes(value)) ?? PACES[0];
    pace.addEventListener('change', () => remember(STORED.pace, pace.value));
    replace.addEventListener('click', () => this.#mend(findReplacements(this.#untypable)));
    leaveOut.addEventListener('click', () => this.#mend(new Map(this.#untypable.map((each) => [each, '']))));
    start.addEventListener('click', () => this.#start());
    cancel.addEventListener('click', () => socket.say('cancel'));
    dialog.addEventListener('close', () => socket.say('cancel'));
    socket.addEventListener('checked', ({ detail }) => this.#showMissing(detail.untypable));
    socket.addEventListener('paste', ({ detail }) => this.#showProgress(detail));
    socket.addEventListener('lost', () => this.#showProgress({ state: 'cancelled', done: 0, total: 1 }));
  }

  set layouts(layouts) {
    const { layout } = this.#parts;
    const stored = recall(STORED.layout, (value) => layouts.some(({ id }) => id === value));
    const chosen = layout.value || stored || guessLayout(layouts, navigator.languages);
    const named = layouts.map(({ id }) => ({ id, name: layoutName(id, language) }));
    named.sort((one, other) => one.name.localeCompare(other.name, language));
    layout.replaceChildren(...named.map(({ id, name }) => new Option(name, id, false, id === chosen)));
  }

  open() {
    this.#parts.result.textContent = '';
    this.#parts.dialog.showModal();
    this.#changed();
  }

  #changed() {
    const { text, layout, missing, start } = this.#parts;
    clearTimeout(this.#timer);
    const { length } = [...text.value];
    if (length === 0 || length > LONGEST_TEXT) this.#showMissing([]);
    start.disabled = true;
    if (length === 0) return;
    if (length > LONGEST_TEXT) {
      missing.textContent = t('The text has {length} characters: up to {most} can be typed at once.', {
        length: length.toLocaleString(language),
        most: LONGEST_TEXT.toLocaleString(language),
      });
    } else {
      this.#timer = setTimeout(
        () => this.#socket.say('check', { layout: layout.value, text: text.value }),
        CHECK_AFTER_MS,
      );
    }
  }

  #showMissing(untypable) {
    const { missing, mend, instead, replace, start } = this.#parts;
    this.#untypable = untypable;
    start.disabled = untypable.length > 0;
    missing.textContent = untypable.length
      ? t("This layout can't type: {characters}", { characters: untypable.map(showCharacter).join(' ') })
      : '';
    const replacements = describeReplacements(findReplacements(untypable));
    mend.hidden = untypable.length === 0;
    replace.hidden = replacements === '';
    instead.textContent = replacements && t('Instead: {replacements}', { replacements });
  }

  #mend(replacements) {
    const { text } = this.#parts;
    text.value = replaceIn(text.value, replacements);
    text.focus(); // not nowhere, where the button was
    this.#changed();
  }

  #start() {
    const { text, layout, pace, start, progress, result } = this.#parts;
    start.disabled = true;
    result.textContent = '';
    progress.value = 0;
    this.#socket.say('paste', { layout: layout.value, text: text.value, pace: pace.value });
  }

  #showProgress({ state, done, total, untypable }) {
    const { cancel, progress, result } = this.#parts;
    if (state === 'refused') {
      this.#showMissing(untypable);
      return;
    }
    const typing = state === 'typing';
    progress.hidden = cancel.hidden = !typing;
    progress.max = total;
    progress.value = done;
    if (typing) return;
    result.textContent = WORDS[state];
    this.#parts.start.disabled = this.#parts.text.value === '';
  }
}
