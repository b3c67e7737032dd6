// SPDX-License-Identifier: MIT
// What login and set-up share: in with whoever was let in, or why the browser keeps them out.

import { ApiError, fetchSession } from '../common/api.js';
import { destination } from '../common/destination.js';
import { t } from '../common/i18n.js';

const NO_COOKIES = t(
  'This browser blocks the cookies of this device, so nobody stays logged in. Allow cookies for this address.',
);

export function sayWhetherCookiesAreBlocked(form) {
  if (navigator.cookieEnabled === false) form.querySelector('.error').textContent = NO_COOKIES;
}

// A browser that threw the cookie away would be sent back here without a word. One that does not answer says nothing of
// its cookies.
export async function enter() {
  const { user } = await fetchSession().catch(() => ({ user: true }));
  if (user === null) throw new ApiError(NO_COOKIES);
  location.replace(destination());
}
