// SPDX-License-Identifier: MIT
// The dialog that switches machines on and off: the attached computer by its buttons, where these are connected (ATX),
// others on by Wake-on-LAN. Operators use it, admins edit the list of machines.

import { ApiError, callApi, fetchSession } from '../common/api.js';
import { loginPage } from '../common/destination.js';
import { element } from '../common/element.js';
import { t } from '../common/i18n.js';
import { SequencesSection } from './sequences.js';

const ATX = '/api/atx';
const LOOK_AGAIN_MS = 1000;
const PRESSES = {
  power: [t('Power button')],
  reset: [t('Reset'), t('Reset the attached computer? What is not saved there is lost.')],
  force_off: [t('Force off (5 s)'), t('Switch the attached computer off by force? What is not saved there is lost.')],
};
const HOOKS = '/api/power-hooks';
const MACHINES = '/api/wake-on-lan';
const FIELDS = {
  name: t('Name'),
  mac: t('MAC address'),
  broadcast: t("Broadcast address; empty: that of this device's networks"),
  interface: t('Network interface; empty: each that is up'),
};

export class PowerDialog {
  #hasAtx;
  #state = element('p', { className: 'power-state' });
  #presses = element('div', { className: 'paste-buttons' });
  #timer = null;
  #sequences = new SequencesSection((action) => this.#attempt(action));
  #hooks = element('section', { hidden: true }, element('h2', { textContent: t('Other switches') }));
  #machines = element('ul', { className: 'power-machines' });
  #result = element('p', { role: 'status' });
  #error = element('p', { role: 'alert', className: 'paste-missing' });
  #form;
  #inputs = {};
  #submit = element('button', { type: 'submit' });
  #changed = null; // the number of the machine that is being changed
  #isAdmin = false;

  constructor({ hasAtx = false } = {}) {
    this.#hasAtx = hasAtx;
    const fields = Object.entries(FIELDS).map(([name, label]) => {
      const input = element('input', { name, required: name === 'name' || name === 'mac', autocomplete: 'off' });
      input.spellcheck = false;
      this.#inputs[name] = input;
      return element('label', {}, label, input);
    });
    this.#form = element('form', { hidden: true }, ...fields, this.#submit);
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#attempt(() => this.#save());
    });
    const close = element('button', { type: 'button', textContent: t('Close') });
    this.element = element(
      'dialog',
      { className: 'paste power', ariaLabel: t('Power') },
      ...(hasAtx ? [element('h2', { textContent: t('Attached computer') }), this.#state, this.#presses] : []),
      this.#hooks,
      element('h2', { textContent: t('Switch machines on (Wake-on-LAN)') }),
      this.#machines,
      this.#form,
      this.#sequences.element,
      this.#result,
      this.#error,
      element('div', { className: 'paste-buttons' }, close),
    );
    close.addEventListener('click', () => this.element.close());
    this.element.addEventListener('close', () => {
      clearTimeout(this.#timer);
      this.#sequences.close();
    });
  }

  async open() {
    this.element.showModal();
    await this.#attempt(async () => {
      this.#isAdmin = (await fetchSession()).role === 'admin';
      this.#form.hidden = !this.#isAdmin;
      this.#edit(null);
      await this.#refresh();
      if (this.#hooks.hidden) this.#offerHooks(await callApi('GET', HOOKS));
      await this.#sequences.open(this.#isAdmin);
    });
    if (this.#hasAtx) await this.#look();
  }

  // The operator's own commands, if there are any.
  #offerHooks({ hooks }) {
    if (!hooks.length) return;
    const buttons = hooks.map((hook) =>
      this.#button(hook, hook, async () => {
        if (!confirm(t('Run {name}?', { name: hook }))) return;
        this.#result.textContent = t('Running {name}…', { name: hook });
        await callApi('POST', HOOKS, { hook });
        this.#result.textContent = t('{name} has run.', { name: hook });
      }),
    );
    this.#hooks.append(element('div', { className: 'paste-buttons' }, ...buttons));
    this.#hooks.hidden = false;
  }

  // Again and again, for as long as the dialog is open.
  async #look() {
    clearTimeout(this.#timer);
    try {
      this.#showAtx(await callApi('GET', ATX));
    } catch (refusal) {
      if (!(refusal instanceof ApiError)) throw refusal;
      this.#state.textContent = refusal.message;
    }
    if (this.element.open) this.#timer = setTimeout(() => this.#look(), LOOK_AGAIN_MS);
  }

  #showAtx({ power, disk, pressing, presses }) {
    const words = [];
    if (power !== null) words.push(power ? t('It is on.') : t('It is off.'));
    if (disk) words.push(t('Its disk works.'));
    this.#state.textContent = words.join(' ');
    if (!this.#presses.children.length) this.#presses.append(...presses.map((press) => this.#pressButton(press)));
    for (const button of this.#presses.children) button.disabled = pressing !== null;
  }

  #pressButton(press) {
    const [label, question] = PRESSES[press];
    return this.#button(label, label, async () => {
      if (question && !confirm(question)) return;
      for (const button of this.#presses.children) button.disabled = true;
      try {
        await callApi('POST', ATX, { press });
        this.#result.textContent = t('The button was pressed.');
      } finally {
        await this.#look();
      }
    });
  }

  async #refresh() {
    const { machines } = await callApi('GET', MACHINES);
    const items = machines.map((machine) => this.#describe(machine));
    if (!items.length) items.push(element('li', { textContent: t('No machine has been entered by an admin yet.') }));
    this.#machines.replaceChildren(...items);
  }

  #describe(machine) {
    const { number, name, mac, broadcast, interface: on } = machine;
    const path = `${MACHINES}/${number}`;
    const facts = [mac, broadcast, on].filter(Boolean).join(' · ');
    const what = element('span', { className: 'power-what' }, name, element('small', { textContent: facts }));
    const wake = this.#button(t('Switch on'), t('Switch {name} on', { name }), async () => {
      const { sent } = await callApi('POST', `${path}/wake`, {});
      this.#result.textContent = t('A magic packet was sent to {name} ({interfaces}).', {
        name,
        // "route": to the address, where the routes lead.
        interfaces: sent.map((each) => (each === 'route' ? broadcast : each)).join(', '),
      });
    });
    if (!this.#isAdmin) return element('li', {}, what, wake);
    const change = this.#button(t('Change'), t('Change {name}', { name }), () => this.#edit(machine));
    const remove = this.#button(t('Remove'), t('Remove {name}', { name }), async () => {
      if (!confirm(t('Remove {name}?', { name }))) return;
      await callApi('DELETE', path);
      if (this.#changed === number) this.#edit(null);
      await this.#refresh();
      this.#inputs.name.focus(); // not nowhere, where this button was
    });
    return element('li', {}, what, wake, change, remove);
  }

  #button(text, label, action) {
    const made = element('button', { type: 'button', textContent: text, ariaLabel: label });
    made.addEventListener('click', () => this.#attempt(action));
    return made;
  }

  // machine: null for a new one
  #edit(machine) {
    this.#changed = machine?.number ?? null;
    for (const [name, input] of Object.entries(this.#inputs)) input.value = machine?.[name] ?? '';
    this.#submit.textContent = machine ? t('Save the change') : t('Add the machine');
    if (machine) this.#inputs.name.focus();
  }

  async #save() {
    const machine = Object.fromEntries(Object.entries(this.#inputs).map(([name, { value }]) => [name, value]));
    if (this.#changed === null) await callApi('POST', MACHINES, machine);
    else await callApi('PATCH', `${MACHINES}/${this.#changed}`, machine);
    this.#edit(null);
    await this.#refresh();
  }

  // A session that has ended leads to the login.
  async #attempt(action) {
    this.#result.textContent = this.#error.textContent = '';
    try {
      await action();
    } catch (refusal) {
      this.#result.textContent = '';
      if (!(refusal instanceof ApiError)) throw refusal;
      if (refusal.status === 401) location.replace(loginPage());
      this.#error.textContent = refusal.message;
    }
  }
}

let dialog = null;

export async function openPower() {
  dialog ??= addToPage();
  await (await dialog).open();
}

async function addToPage() {
  const style = element('link', { rel: 'stylesheet', href: new URL('./power.css', import.meta.url) });
  const settled = new Promise((resolve) => {
    style.addEventListener('load', resolve);
    style.addEventListener('error', resolve); // it works without
  });
  const made = new PowerDialog({ hasAtx: 'atx' in document.getElementById('open-power').dataset });
  document.head.append(style);
  document.body.append(made.element);
  await settled;
  return made;
}
