// SPDX-License-Identifier: MIT
// The dialog that switches machines on by Wake-on-LAN: operators wake them, admins edit the list.

import { ApiError, callApi, fetchSession } from '../common/api.js';
import { loginPage } from '../common/destination.js';
import { element } from '../common/element.js';
import { t } from '../common/i18n.js';

const MACHINES = '/api/wake-on-lan';
const FIELDS = {
  name: t('Name'),
  mac: t('MAC address'),
  broadcast: t("Broadcast address; empty: that of this device's networks"),
  interface: t('Network interface; empty: each that is up'),
};

export class PowerDialog {
  #machines = element('ul', { className: 'power-machines' });
  #result = element('p', { role: 'status' });
  #error = element('p', { role: 'alert', className: 'paste-missing' });
  #form;
  #inputs = {};
  #submit = element('button', { type: 'submit' });
  #changed = null; // the number of the machine that is being changed
  #isAdmin = false;

  constructor() {
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
      element('h2', { textContent: t('Switch machines on (Wake-on-LAN)') }),
      this.#machines,
      this.#form,
      this.#result,
      this.#error,
      element('div', { className: 'paste-buttons' }, close),
    );
    close.addEventListener('click', () => this.element.close());
  }

  async open() {
    this.element.showModal();
    await this.#attempt(async () => {
      this.#isAdmin = (await fetchSession()).role === 'admin';
      this.#form.hidden = !this.#isAdmin;
      this.#edit(null);
      await this.#refresh();
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
        interfaces: sent.join(', '),
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
  const made = new PowerDialog();
  document.head.append(style);
  document.body.append(made.element);
  await settled;
  return made;
}
