// SPDX-License-Identifier: MIT
// What was typed into a form of settings, free of the browser.

// typed: {name: text}; bounds: {name: {minimum, maximum}}. Nothing typed means null: as the operator has it.
// Returns {changes: {name: number or null}}, or {wrong: name} of the first that is no whole number within its bounds.
export function readNumbers(typed, bounds) {
  const changes = {};
  for (const [name, text] of Object.entries(typed)) {
    const trimmed = text.trim();
    const { minimum, maximum } = bounds[name];
    const value = trimmed === '' ? null : Number(trimmed);
    if (value !== null && !(/^\d+$/.test(trimmed) && value >= minimum && value <= maximum)) return { wrong: name };
    changes[name] = value;
  }
  return { changes };
}

const ICE = ['tinypilot_ice_servers', 'tinypilot_turn_secret', 'tinypilot_turn_user', 'tinypilot_turn_password'];

// Of STUN and TURN. What does not belong to the chosen way is emptied. What is undefined is not sent and so stays: a
// secret or a password of which nothing was typed.
export function readIce({ way, servers, secret, user, password }) {
  if (way === '') return Object.fromEntries(ICE.map((name) => [name, null]));
  return {
    tinypilot_ice_servers: way === 'none' ? [] : servers.split(/\s+/).filter(Boolean),
    tinypilot_turn_secret: way === 'secret' ? secret || undefined : '',
    tinypilot_turn_user: way === 'login' ? user : '',
    tinypilot_turn_password: way === 'login' ? password || undefined : '',
  };
}

const PEM_BLOCK = /-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g;

// Of a certificate and its key: {changes}, or {missing: true} if there is one without the other. What stands between
// the blocks of a PEM file is for people.
export function readCertificate({ whose, chain, key }) {
  // Not even that if the operator has fixed it: the device says so.
  if (whose !== 'own') return { changes: { tinypilot_certificate_and_key: null } };
  if (!chain || !key) return { missing: true };
  const blocks = [chain, key].map((text) => text.match(PEM_BLOCK) ?? [text]).flat();
  return { changes: { tinypilot_certificate_and_key: `${blocks.join('\n')}\n` } };
}

// The hexadecimal digits of an EDID in a file's bytes: what begins as an EDID is one, all else is text.
export function readEdid(bytes) {
  if (bytes[0] === 0 && bytes[1] === 255) return [...bytes].map((each) => each.toString(16).padStart(2, '0')).join('');
  return new TextDecoder().decode(bytes).replace(/\s/g, '').toLowerCase();
}
