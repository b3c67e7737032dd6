// SPDX-License-Identifier: MIT
import { ask, checkRepeated, onSubmit } from './ask.js';

onSubmit(document.getElementById('setup'), async ({ code, name, password, repeated }) => {
  checkRepeated(password, repeated);
  await ask('POST', '/api/setup', { code, name, password });
  location.replace('/');
});
