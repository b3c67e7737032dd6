// SPDX-License-Identifier: MIT
// Who has the controls and whether they lead anywhere, in words. Free of the browser.

import { t } from '../common/i18n.js';

const USB_PROBLEMS = {
  silent: t('The attached computer does not accept keys.'),
  disconnected: t('The attached computer is not connected by USB, is off, or sleeps.'),
  missing: t('This device has no USB port to the attached computer.'),
};

// A session of the play has no name.
export const nameOf = ({ name }) => name ?? t('provisioning');

// state: the server's last, or null without a connection; me: the person's number
export function describeControls(state, me) {
  if (!state) return { control: 'offline', text: t('Keyboard and mouse: connecting'), problem: '', asking: [] };
  const owner = state.people.find(({ number }) => number === state.owner);
  const self = state.people.find(({ number }) => number === me);
  const control = ownership(owner, self);
  return {
    control,
    text: sentence(control, owner, self, state.idle),
    problem: USB_PROBLEMS[state.usb] ?? '',
    asking: control === 'mine' ? state.people.filter(({ asks }) => asks) : [],
  };
}

function ownership(owner, self) {
  if (!self?.mayControl) return 'watching';
  if (!owner) return 'free';
  return owner.number === self.number ? 'mine' : 'theirs';
}

function sentence(control, owner, self, idle) {
  if (control === 'mine') return t('You have the controls');
  if (control === 'free' || !owner) return t('Nobody has the controls');
  const name = nameOf(owner);
  if (self?.asks) return t('You asked {name} for the controls', { name });
  return idle ? t('{name} has the controls but is idle', { name }) : t('{name} has the controls', { name });
}
