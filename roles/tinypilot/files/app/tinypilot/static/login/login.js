// SPDX-License-Identifier: MIT
import { callApi, fetchSession, onSubmit } from '../common/api.js';

const form = document.getElementById('login');
const codeField = document.getElementById('code-field');

// Whoever comes by a link from elsewhere sends no cookie at first, and is in already.
fetchSession().then(
  ({ user }) => user && location.replace('/'),
  () => {},
);

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
  location.replace('/');
});
