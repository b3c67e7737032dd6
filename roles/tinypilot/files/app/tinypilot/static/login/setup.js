// SPDX-License-Identifier: MIT
import { callApi, checkRepeated, onSubmit } from '../common/api.js';

onSubmit(document.getElementById('setup'), async ({ code, name, password, repeated }) => {
  checkRepeated(password, repeated);
  await callApi('POST', '/api/setup', { code, name, password });
  location.replace('/');
});
