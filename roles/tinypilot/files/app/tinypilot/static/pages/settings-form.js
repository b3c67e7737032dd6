// SPDX-License-Identifier: MIT
// What was typed into a form of settings, free of the browser.

import { t } from '../common/i18n.js';

// fields: {name, kind, text, minimum, maximum} each, kind as JSON Schema calls the type. An empty text means null: the
// default from provisioning. Returns {changes: {name: value or null}}, or {wrong: name} of the first number that is no
// whole number within its bounds; the device checks the texts.
export function readFields(fields) {
  const changes = {};
  for (const { name, kind, text, minimum, maximum } of fields) {
    const trimmed = text.trim();
    if (trimmed === '') changes[name] = null;
    else if (kind === 'array') changes[name] = trimmed.split(/\s*\n\s*/);
    else if (kind === 'string') changes[name] = trimmed;
    else {
      changes[name] = Number(trimmed);
      if (!/^\d+$/.test(trimmed) || changes[name] < Number(minimum) || changes[name] > Number(maximum))
        return { wrong: name };
    }
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

// Of a certificate and its key: {pem}, null for the default, or {missing: true} if there is one without the other. The
// device finds in it what it needs.
export function readCertificate({ whose, chain, key }) {
  if (whose !== 'own') return { pem: null };
  return chain && key ? { pem: `${chain}\n${key}\n` } : { missing: true };
}

// By the mark that a file begins with.
const ENCODINGS = { 'ff,fe': 'utf-16le', 'fe,ff': 'utf-16be' };

// A file's text. What PowerShell writes by itself is UTF-16; without its mark each second byte is 0.
export function readText(bytes) {
  const mark = [...bytes.slice(0, 2)].map((each) => each.toString(16)).join();
  return new TextDecoder(ENCODINGS[mark] ?? 'utf-8').decode(bytes).replaceAll('\0', '');
}

// A display mode of /api/edid, in words.
export function describeMode({ width, height, rate_hz: rate, interlaced, fits }) {
  const mode = interlaced ? t('{width} × {height}, {rate} Hz, interlaced', { width, height, rate }) : null;
  const words = mode ?? t('{width} × {height}, {rate} Hz', { width, height, rate });
  return fits === false ? t('{mode}: more than this device can take', { mode: words }) : words;
}
