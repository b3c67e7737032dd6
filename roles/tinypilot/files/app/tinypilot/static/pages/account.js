// SPDX-License-Identifier: MIT
// The account page: password, codes of an app, and for admins users and sessions.

import { ApiError, callApi, checkRepeated, fetchSession, onSubmit } from '../common/api.js';
import { loginPage } from '../common/destination.js';
import { element } from '../common/element.js';
import { language, t } from '../common/i18n.js';

const byId = (id) => document.getElementById(id);
const ROLES = ['viewer', 'operator', 'admin'];
const moment = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' });

// What happens outside a form. A session that has ended leads to the login.
async function attempt(action) {
  byId('account-error').textContent = '';
  try {
    return await action();
  } catch (refusal) {
    if (!(refusal instanceof ApiError)) throw refusal;
    if (refusal.status === 401) location.replace(loginPage());
    byId('account-error').textContent = refusal.message;
    return null;
  }
}

function button(text, label, action) {
  const made = element('button', { type: 'button', textContent: text, ariaLabel: label });
  made.addEventListener('click', () => attempt(action));
  return made;
}

function describeUser({ name, role, is_provisioned: isProvisioned, has_totp: hasTotp }) {
  const what = element('span', { className: 'what' }, hasTotp ? t('{name} (two-factor)', { name }) : name);
  if (isProvisioned) return element('li', {}, what, t('{role} (provisioned)', { role }));
  const select = element('select', { ariaLabel: t('Role of {name}', { name }) });
  select.append(...ROLES.map((each) => element('option', { value: each, textContent: each, selected: each === role })));
  select.addEventListener('change', () =>
    attempt(() => callApi('PATCH', `/api/users/${encodeURIComponent(name)}`, { role: select.value })).then(refresh),
  );
  const remove = button(t('Remove'), t('Remove {name}', { name }), async () => {
    if (!confirm(t('Remove {name}?', { name }))) return;
    await callApi('DELETE', `/api/users/${encodeURIComponent(name)}`);
    await refresh();
  });
  return element('li', {}, what, select, remove);
}

function describeSession({ number, user, role, network, agent, created, own }) {
  const who = t('{user} ({role}), from {network}, since {since}', {
    user: user ?? t('provisioning'),
    role,
    network,
    since: moment.format(created * 1000),
  });
  const what = element('span', { className: 'what' }, own ? t('{session} (this session)', { session: who }) : who);
  if (agent) what.append(element('br', {}), element('span', { className: 'quiet', textContent: agent }));
  const end = button(t('End session'), t('End session: {who}', { who }), async () => {
    await callApi('DELETE', `/api/sessions/${number}`);
    await refresh();
  });
  return element('li', {}, what, end);
}

async function refresh() {
  if (!byId('users')) return;
  await attempt(async () => {
    const [{ users }, { sessions }] = await Promise.all([
      callApi('GET', '/api/users'),
      callApi('GET', '/api/sessions'),
    ]);
    byId('users').replaceChildren(...users.map(describeUser));
    byId('sessions').replaceChildren(...sessions.map(describeSession));
  });
}

async function proposeKey() {
  const { key, address } = await callApi('POST', '/api/account/totp/key', {});
  byId('totp-key').textContent = key.match(/.{4}/g).join(' ');
  byId('totp-key').href = address;
  return key;
}

function wireForms(key) {
  const forms = {
    'change-password': async ({ old, new: password, repeated }, form) => {
      checkRepeated(password, repeated);
      await callApi('POST', '/api/account/password', { old, new: password });
      await fetchSession();
      form.reset();
      form.querySelector('.done').textContent = t('The password was changed.');
      await refresh();
    },
    'totp-on': async ({ code, password }, form) => {
      const { recovery_codes: codes } = await callApi('POST', '/api/account/totp', { key, code, password });
      form.hidden = true;
      byId('recovery-codes').replaceChildren(...codes.map((each) => element('li', { textContent: each })));
      byId('recovery').hidden = false;
      byId('recovery').focus();
    },
    'totp-off': async (typed) => {
      await callApi('POST', '/api/account/totp/off', typed);
      location.reload();
    },
    'add-user': async (typed, form) => {
      await callApi('POST', '/api/users', typed);
      form.reset();
      await refresh();
    },
  };
  for (const [id, send] of Object.entries(forms)) {
    const form = byId(id);
    if (form) onSubmit(form, (typed) => send(typed, form));
  }
}

attempt(async () => {
  const { user } = await fetchSession();
  if (user === null && byId('change-password')) location.replace(loginPage());
  wireForms(byId('totp-on') ? await proposeKey() : null);
  byId('log-out').disabled = false;
  byId('log-out').addEventListener('click', () =>
    attempt(async () => {
      await callApi('POST', '/api/logout', {});
      location.replace('/login');
    }),
  );
  await refresh();
});
