// SPDX-License-Identifier: MIT
// The part of the power dialog with sequences: power on, wait for the picture, press a key until the firmware's screen
// comes. Operators run and stop them, admins edit them.

import { ApiError, callApi } from '../common/api.js';
import { element } from '../common/element.js';
import { t } from '../common/i18n.js';

const SEQUENCES = '/api/sequences';
const LOOK_AGAIN_MS = 1000;
const PRESSES = { power: t('Power button'), reset: t('Reset'), force_off: t('Force off (5 s)') };
const SECONDS = ['seconds', t('Seconds'), 10];
const KEYS = ['keys', t('Keys, such as ControlLeft AltLeft Delete'), ['Delete']];
// What a step can do: its name, and its fields with what they begin with.
const KINDS = {
  power: [t('Press a button of the computer'), [['press', t('Button'), 'power']]],
  wake: [t('Switch a machine on (Wake-on-LAN)'), [['machine', t('Name'), '']]],
  hook: [t('Run a command'), [['hook', t('Name'), '']]],
  wait_for_picture: [t('Wait for the picture'), [['seconds', t('Seconds at most'), 60]]],
  wait: [t('Wait'), [SECONDS]],
  chord: [t('Press keys'), [KEYS]],
  repeat: [t('Press keys again and again'), [KEYS, ['every_ms', t('Every so many milliseconds'), 200], SECONDS]],
  text: [t('Type a text'), [['text', t('Text'), '']]],
};

// attempt(action): does it, and says what is refused.
export class SequencesSection {
  #attempt;
  #list = element('ul', { className: 'power-machines' });
  #state = element('p', { ariaLive: 'polite' });
  #stop = element('button', { type: 'button', textContent: t('Stop the sequence'), hidden: true });
  #name = element('input', { name: 'sequence', required: true, maxLength: 64, autocomplete: 'off' });
  #steps = element('ol', { className: 'power-steps' });
  #read = new WeakMap(); // by item of the list: what says its step
  #submit = element('button', { type: 'submit' });
  #form;
  #changed = null; // the number of the sequence that is being changed
  #isAdmin = false;
  #timer = null;
  #isOpen = false;

  constructor(attempt) {
    this.#attempt = attempt;
    const add = element('button', { type: 'button', textContent: t('Add a step') });
    add.addEventListener('click', () => this.#steps.append(this.#step({ do: 'wait', seconds: 10 })));
    this.#form = element(
      'form',
      { hidden: true },
      element('label', {}, t("The sequence's name"), this.#name),
      this.#steps,
      element('div', { className: 'paste-buttons' }, add, this.#submit),
    );
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#attempt(() => this.#save());
    });
    this.#stop.addEventListener('click', () =>
      this.#attempt(async () => {
        await callApi('POST', `${SEQUENCES}/stop`, {});
        await this.#look();
      }),
    );
    this.element = element(
      'section',
      {},
      element('h2', { textContent: t('Sequences') }),
      this.#list,
      this.#state,
      this.#stop,
      this.#form,
    );
  }

  async open(isAdmin) {
    this.#isAdmin = isAdmin;
    this.#isOpen = true;
    this.#form.hidden = !isAdmin;
    this.#edit(null);
    await this.#look();
  }

  close() {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  // Again and again while one runs.
  async #look() {
    clearTimeout(this.#timer);
    const { sequences, last } = await callApi('GET', SEQUENCES);
    const isRunning = Boolean(last?.is_running);
    const items = sequences.map((sequence) => this.#describe(sequence, isRunning));
    if (!items.length) items.push(element('li', { textContent: t('No sequence has been entered by an admin yet.') }));
    this.#list.replaceChildren(...items);
    this.#state.textContent = last ? said(last) : '';
    this.#stop.hidden = !isRunning;
    if (isRunning) this.#lookSoon();
  }

  #lookSoon() {
    if (this.#isOpen) this.#timer = setTimeout(() => this.#lookAgain(), LOOK_AGAIN_MS);
  }

  // Nobody has clicked: what the dialog says of the last click stays.
  async #lookAgain() {
    try {
      await this.#look();
    } catch (refusal) {
      if (!(refusal instanceof ApiError)) throw refusal;
      this.#state.textContent = refusal.message;
      this.#lookSoon();
    }
  }

  #describe(sequence, isRunning) {
    const { number, name, steps } = sequence;
    const facts = steps.map((step) => KINDS[step.do][0]).join(' · ');
    const what = element('span', { className: 'power-what' }, name, element('small', { textContent: facts }));
    const run = this.#button(t('Run'), t('Run {name}', { name }), async () => {
      await callApi('POST', `${SEQUENCES}/${number}/run`, {});
      await this.#look();
    });
    run.disabled = isRunning;
    if (!this.#isAdmin) return element('li', {}, what, run);
    const change = this.#button(t('Change'), t('Change {name}', { name }), () => this.#edit(sequence));
    const remove = this.#button(t('Remove'), t('Remove {name}', { name }), async () => {
      if (!confirm(t('Remove {name}?', { name }))) return;
      await callApi('DELETE', `${SEQUENCES}/${number}`);
      if (this.#changed === number) this.#edit(null);
      await this.#look();
      this.#name.focus(); // not nowhere, where this button was
    });
    return element('li', {}, what, run, change, remove);
  }

  #button(text, label, action) {
    const made = element('button', { type: 'button', textContent: text, ariaLabel: label });
    made.addEventListener('click', () => this.#attempt(action));
    return made;
  }

  // sequence: null for a new one
  #edit(sequence) {
    this.#changed = sequence?.number ?? null;
    this.#name.value = sequence?.name ?? '';
    this.#steps.replaceChildren(...(sequence?.steps ?? []).map((step) => this.#step(step)));
    this.#submit.textContent = sequence ? t('Save the change') : t('Add the sequence');
    if (sequence) this.#name.focus();
  }

  #step(step) {
    const options = Object.entries(KINDS).map(([kind, [name]]) =>
      element('option', { value: kind, textContent: name }),
    );
    const kind = element('select', { name: 'do', ariaLabel: t('Step') }, ...options);
    kind.value = step.do;
    const fields = element('span', { className: 'power-what' });
    const remove = element('button', { type: 'button', textContent: t('Remove the step') });
    const item = element('li', {}, kind, fields, remove);
    const show = (values) => {
      const shown = KINDS[values.do][1].map(([name, label, first]) => [label, inputFor(name, values[name] ?? first)]);
      fields.replaceChildren(...shown.map(([label, input]) => element('label', {}, label, input)));
      // What this form does not show of a step is kept: its layout, its pace.
      this.#read.set(item, () => ({ ...values, ...valuesOf(shown.map(([, input]) => input)) }));
    };
    kind.addEventListener('change', () => show({ do: kind.value }));
    remove.addEventListener('click', () => item.remove());
    show(step);
    return item;
  }

  async #save() {
    const steps = [...this.#steps.children].map((item) => this.#read.get(item)());
    const sequence = { name: this.#name.value, steps };
    if (this.#changed === null) await callApi('POST', SEQUENCES, sequence);
    else await callApi('PATCH', `${SEQUENCES}/${this.#changed}`, sequence);
    this.#edit(null);
    await this.#look();
  }
}

function inputFor(name, value) {
  if (name === 'press') {
    const options = Object.entries(PRESSES).map(([press, label]) =>
      element('option', { value: press, textContent: label }),
    );
    const made = element('select', { name }, ...options);
    made.value = value;
    return made;
  }
  const isNumber = typeof value === 'number';
  const text = Array.isArray(value) ? value.join(' ') : String(value);
  // A text may have several lines.
  if (name === 'text') return element('textarea', { name, value: text, rows: 2, required: true });
  const made = element('input', { name, value: text, type: isNumber ? 'number' : 'text', required: true });
  made.spellcheck = false;
  if (isNumber) made.step = 'any';
  return made;
}

function valuesOf(inputs) {
  return Object.fromEntries(inputs.map((input) => [input.name, shownValueOf(input)]));
}

function shownValueOf({ name, type, value }) {
  if (name === 'keys') return value.split(/[\s+,]+/).filter(Boolean);
  return type === 'number' ? Number(value) : value;
}

function said({ name, by, is_running: isRunning, is_stopped: isStopped, step, steps, error }) {
  if (isRunning) return t('{name} is running, step {step} of {steps}. Begun by {by}.', { name, step, steps, by });
  if (error) return t('{name} ended at step {step} of {steps}: {error}', { name, step, steps, error });
  if (isStopped) return t('{name} was stopped at step {step} of {steps}.', { name, step, steps });
  return t('{name} has run.', { name });
}
