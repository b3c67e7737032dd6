// SPDX-License-Identifier: MIT
// What was typed into a form of settings, free of the browser.

// typed: {name: text}; bounds: {name: {lowest, highest}}. Nothing typed means null: as the operator has it.
// Returns {changes: {name: number or null}}, or {wrong: name} of the first that is no whole number within its bounds.
export function readNumbers(typed, bounds) {
  const changes = {};
  for (const [name, text] of Object.entries(typed)) {
    const trimmed = text.trim();
    const { lowest, highest } = bounds[name];
    const value = trimmed === '' ? null : Number(trimmed);
    if (value !== null && !(/^\d+$/.test(trimmed) && value >= lowest && value <= highest)) return { wrong: name };
    changes[name] = value;
  }
  return { changes };
}

// The hexadecimal digits of an EDID in a file's bytes: what begins as an EDID is one, all else is text.
export function readEdid(bytes) {
  if (bytes[0] === 0 && bytes[1] === 255) return [...bytes].map((each) => each.toString(16).padStart(2, '0')).join('');
  return new TextDecoder().decode(bytes).replace(/\s/g, '').toLowerCase();
}
