// SPDX-License-Identifier: MIT
import { callApi, fetchSession, onSubmit } from '../common/api.js';
import { destination } from '../common/destination.js';
import { enter, sayWhetherCookiesAreBlocked } from './enter.js';

const form = document.getElementById('login');
const codeField = document.getElementById('code-field');

// Hidden from whoever comes by a link of another site: the browser sent no cookie, and the person may be in already.
function show() {
  const main = document.querySelector('main');
  if (!main.hidden) return;
  main.hidden = false;
  form.elements.name.focus();
}

fetchSession().then(({ user }) => (user ? location.replace(destination()) : show()), show);
sayWhetherCookiesAreBlocked(form);

onSubmit(form, async (typed) => {
  try {
    await callApi('POST', '/api/login', typed);
  } catch (refusal) {
    if (refusal.answer?.code_needed) {
      codeField.hidden = false;
      form.elements.code.focus();
    } else {
      form.elements.password.select();
    }
    throw refusal;
  }
  await enter();
});
