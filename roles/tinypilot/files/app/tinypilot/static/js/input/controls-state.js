// SPDX-License-Identifier: MIT
// Who has the controls and whether they lead anywhere, in words. Free of the browser.

const USB_PROBLEMS = {
  silent: 'The attached computer does not take keys.',
  disconnected: 'The attached computer is not connected by USB, is off, or sleeps.',
  missing: 'This device has no USB port to the attached computer.',
};

// state: the server's last, or null without a connection; me: the person's number
export function describeControls(state, me) {
  if (!state) return { control: 'offline', text: 'Keyboard and mouse: connecting', problem: '', asking: [] };
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
  if (control === 'mine') return 'You have the controls';
  if (control === 'free' || !owner) return 'Nobody has the controls';
  if (self?.asks) return `You asked ${owner.name} for the controls`;
  return `${owner.name} has the controls${idle ? ', and is idle' : ''}`;
}
