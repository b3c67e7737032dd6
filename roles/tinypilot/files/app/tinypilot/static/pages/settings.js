// SPDX-License-Identifier: MIT
// The page of the device's settings, for admins.

import { ApiError, callApi, fetchSession, onSubmit } from '../common/api.js';
import { loginPage } from '../common/destination.js';
import { t } from '../common/i18n.js';
import { load } from '../common/load.js';
import { describeMode, readCertificate, readFields, readIce, readText } from './settings-form.js';

// A report of edid-decode's is long.
const LARGEST_EDID_BYTES = 24_576;
const LARGEST_PEM_BYTES = 24_576;
const LOOK_MS = 1000;

const byId = (id) => document.getElementById(id);

async function change(form, changes) {
  const done = form.querySelector('.done');
  done.textContent = t('Applying…');
  try {
    const { settings } = await callApi('PATCH', '/api/settings', changes);
    done.textContent = t('Applied.');
    return settings;
  } catch (refusal) {
    done.textContent = '';
    throw refusal;
  }
}

// Of a form whose fields are made of the settings' schemas.
async function applyFields(form) {
  const fields = [...form.elements].filter(({ dataset, disabled }) => dataset.kind && !disabled);
  const { changes, wrong } = readFields(fields.map(({ name, value, dataset }) => ({ name, text: value, ...dataset })));
  if (wrong) {
    const field = form.elements[wrong];
    const { minimum, maximum } = field.dataset;
    field.focus();
    const what = field.labels[0].textContent;
    throw new ApiError(t('{what} must be a whole number from {minimum} to {maximum}.', { what, minimum, maximum }));
  }
  await change(form, changes);
}

const bytesOf = async (file) => new Uint8Array(await file.arrayBuffer());

async function applyEdid(form, { choice, file }) {
  if (file.size > LARGEST_EDID_BYTES) throw new ApiError(t('The file is too large for an EDID.'));
  const edid = file.size
    ? (await load(new URL('./edid-file.js', import.meta.url))).readEdid(await bytesOf(file))
    : choice;
  await change(form, { [form.dataset.settings]: edid || null });
  await showOffers();
}

// What the EDID in force offers. That edid-decode dislikes something of most that is sold says little.
async function showOffers() {
  const { modes, complaints } = await callApi('GET', '/api/edid');
  const list = (id, texts) =>
    byId(id).replaceChildren(
      ...texts.map((text) => Object.assign(document.createElement('li'), { textContent: text })),
    );
  list('edid-modes', modes.map(describeMode));
  list('edid-complaints', complaints);
  const details = byId('edid-offers').querySelector('details');
  details.hidden = complaints.length === 0;
  details.firstElementChild.textContent = t('Remarks of edid-decode: {count}. Most computers do not mind them.', {
    count: complaints.length,
  });
  byId('edid-offers').hidden = modes.length === 0;
}

async function applyCertificate(form, { whose, chain, key }) {
  if (Math.max(chain.size, key.size) > LARGEST_PEM_BYTES)
    throw new ApiError(t('The file is too large for a certificate.'));
  const read = readCertificate({ whose, chain: readText(await bytesOf(chain)), key: readText(await bytesOf(key)) });
  if (read.missing) throw new ApiError(t('Choose two files: the certificate and its private key.'));
  const name = form.dataset.settings;
  const settings = await change(form, { [name]: read.pem });
  byId('certificate-key-hint').hidden = !settings[name].is_set;
}

// Of a form whose fields are for some of the choices alone.
function showFieldsOf({ form, disabled, value }) {
  for (const field of form.querySelectorAll('[data-for]')) {
    field.hidden = disabled || !field.dataset.for.split(' ').includes(value);
  }
}

async function applyIce(form, typed) {
  const settings = await change(form, readIce(typed));
  for (const name of ['secret', 'password']) {
    form.elements[name].value = '';
    byId(`turn-${name}-hint`).hidden = !settings[`tinypilot_turn_${name}`].value;
  }
}

// --- Tokens ---

function describeToken({ number, name, role }) {
  const row = document.createElement('li');
  const what = document.createElement('span');
  what.className = 'what';
  what.textContent = `${name} (${role})`;
  const remove = document.createElement('button');
  remove.type = 'button';
  remove.textContent = t('Remove');
  remove.ariaLabel = t('Remove {name}', { name });
  remove.addEventListener('click', () => callApi('DELETE', `/api/tokens/${number}`).then(showTokens, showTokens));
  row.append(what, remove);
  return row;
}

async function showTokens() {
  const { tokens } = await callApi('GET', '/api/tokens');
  byId('tokens').replaceChildren(...tokens.map(describeToken));
}

async function addToken(form, typed) {
  const { token } = await callApi('POST', '/api/tokens', typed);
  form.reset();
  form.querySelector('.done').textContent = t('This is the new token. It is shown only now:');
  byId('new-token').textContent = token;
  await showTokens();
}

// --- Device test ---

async function testDevice(button) {
  const [error, done, list] = ['test-error', 'test-done', 'test-verdicts'].map(byId);
  button.disabled = true;
  error.textContent = '';
  done.textContent = t('Testing…');
  try {
    const { describeParts, summarize } = await load(new URL('./device-test.js', import.meta.url));
    const { parts } = await callApi('POST', '/api/device-test');
    list.replaceChildren(...describeParts(parts));
    list.hidden = false;
    done.textContent = summarize(parts);
  } catch (refusal) {
    if (!(refusal instanceof ApiError)) throw refusal;
    done.textContent = '';
    error.textContent = refusal.message;
  } finally {
    button.disabled = false;
  }
}

// --- Power ---

const POWER = {
  restart: [
    t('Restart the services? The video is interrupted for a few seconds.'),
    t('Restarting. This page reloads when the services are back.'),
  ],
  reboot: [t('Reboot the device?'), t('Rebooting. This page reloads when the device is back.')],
  poweroff: [
    t('Switch the device off? Only its power supply can switch it on again.'),
    t('Switching off. Only the power supply can switch it on again.'),
  ],
};

const runningSince = () =>
  // Also of a device that is not well.
  fetch('/api/health')
    .then((answer) => answer.json())
    .then(
      ({ since }) => since ?? null,
      () => null,
    );

async function power(action) {
  const [question, doing] = POWER[action];
  if (!confirm(question)) return;
  byId('power-error').textContent = '';
  const before = await runningSince();
  try {
    await callApi('POST', '/api/power', { action });
  } catch (refusal) {
    byId('power-error').textContent = refusal.message;
    return;
  }
  byId('power-done').textContent = doing;
  const looking = setInterval(async () => {
    const since = await runningSince();
    if (since === null || since === before) return;
    clearInterval(looking);
    location.reload();
  }, LOOK_MS);
}

// --- All of it ---

// By the widget of a group of settings; all others are made of their schemas.
const WIDGETS = { certificate: applyCertificate, edid: applyEdid, ice: applyIce };

fetchSession().then(({ role }) => {
  if (!role) location.replace(loginPage());
  for (const form of document.querySelectorAll('form[data-settings]')) {
    onSubmit(form, (typed) => (WIDGETS[form.id] ?? applyFields)(form, typed));
  }
  onSubmit(byId('add-token'), (typed) => addToken(byId('add-token'), typed));
  for (const choice of document.querySelectorAll('[data-chooses]')) {
    showFieldsOf(choice);
    choice.addEventListener('change', () => showFieldsOf(choice));
  }
  byId('test').disabled = false;
  byId('test').addEventListener('click', ({ target }) => testDevice(target));
  for (const button of byId('power').children) {
    button.disabled = false;
    button.addEventListener('click', () => power(button.value));
  }
  if (byId('edid-offers')) showOffers();
  return showTokens();
});
