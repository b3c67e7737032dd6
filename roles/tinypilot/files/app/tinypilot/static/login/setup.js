// SPDX-License-Identifier: MIT
import { callApi, checkRepeated, onSubmit } from '../common/api.js';
import { enter, sayWhetherCookiesAreBlocked } from './enter.js';

const form = document.getElementById('setup');
sayWhetherCookiesAreBlocked(form);

onSubmit(form, async ({ code, name, password, repeated }) => {
  checkRepeated(password, repeated);
  await callApi('POST', '/api/setup', { code, name, password });
  await enter();
});
