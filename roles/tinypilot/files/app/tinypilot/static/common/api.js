// SPDX-License-Identifier: MIT
// What the pages with forms share: asking the web app, and a form that says what went wrong.

import { t } from './i18n.js';

export class ApiError extends Error {}

let csrf = '';

// Whether anybody is logged in here: {user, role}, with user null if not.
export async function fetchSession() {
  const here = await callApi('GET', '/api/session');
  csrf = here.csrf ?? '';
  return here;
}

export async function callApi(method, path, body) {
  const request = { method, cache: 'no-store', headers: { 'X-CSRF-Token': csrf } };
  if (body instanceof Blob) request.body = body;
  else if (body) {
    request.headers['Content-Type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  const response = await fetch(path, request).catch(() => {
    throw new ApiError(t('The device does not answer. Is it switched on, and are you in its network?'));
  });
  const answer = await response
    .json()
    .catch(() => ({ error: t('The device is not ready yet. Try again in a moment.') }));
  if (!response.ok) throw Object.assign(new ApiError(answer.error), { answer, status: response.status });
  return answer;
}

// send(fields) is called with what was typed, by name of the fields. What it refuses is said in the form.
export function onSubmit(form, send) {
  const error = form.querySelector('.error');
  // Until now a click would have been lost.
  form.querySelector('[type=submit]').disabled = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('[type=submit]');
    button.disabled = true;
    error.textContent = '';
    try {
      await send(Object.fromEntries(new FormData(form)));
    } catch (refusal) {
      if (!(refusal instanceof ApiError)) throw refusal;
      error.textContent = refusal.message;
    } finally {
      button.disabled = false;
    }
  });
}

// Both times the same, or nobody knows later what was typed.
export function checkRepeated(password, repeated) {
  if (password !== repeated) throw new ApiError(t('The two passwords differ.'));
}
