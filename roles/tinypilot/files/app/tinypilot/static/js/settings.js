// SPDX-License-Identifier: MIT
// The page of the device's settings, for admins.

import { ask, askWhoIAm, onSubmit, Refusal } from '/static/door/ask.js';
import { t } from '/static/door/words.js';
import { readNumbers } from './settings-form.js';

const byId = (id) => document.getElementById(id);

async function applyNumbers(form, typed) {
  const bounds = {};
  for (const name of Object.keys(typed)) {
    const { lowest, highest } = byId(name).dataset;
    bounds[name] = { lowest: Number(lowest), highest: Number(highest) };
  }
  const { changes, wrong } = readNumbers(typed, bounds);
  if (wrong) {
    byId(wrong).focus();
    const what = byId(wrong).labels[0].textContent;
    throw new Refusal(t('{what} must be a whole number from {lowest} to {highest}.', { what, ...bounds[wrong] }));
  }
  const done = form.querySelector('.done');
  done.textContent = t('Being applied…');
  try {
    await ask('PATCH', '/api/settings', changes);
    done.textContent = t('Applied.');
  } catch (refusal) {
    done.textContent = '';
    throw refusal;
  }
}

askWhoIAm().then(({ role }) => {
  if (!role) location.replace('/login');
  onSubmit(byId('video'), (typed) => applyNumbers(byId('video'), typed));
});
