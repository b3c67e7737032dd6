// SPDX-License-Identifier: MIT
// What this browser remembers of the person's choices. Site data may be blocked, full or damaged, or written by
// another version of the page: then the page has its defaults, and a choice holds until the page is left.

const unsaved = new Map(); // name -> value

// The value, if isGood(value); else null.
export function recall(name, isGood) {
  const value = unsaved.has(name) ? unsaved.get(name) : read(name);
  return isGood(value) ? value : null;
}

// null: nothing is to be remembered.
export function remember(name, value) {
  unsaved.delete(name);
  try {
    if (value === null) globalThis.localStorage.removeItem(name);
    else globalThis.localStorage.setItem(name, typeof value === 'string' ? value : JSON.stringify(value));
  } catch {
    unsaved.set(name, value);
  }
}

// Words are stored as they are, everything else as JSON.
function read(name) {
  try {
    const text = globalThis.localStorage.getItem(name);
    return text?.match(/^[\w-]+$/) ? text : JSON.parse(text);
  } catch {
    return null;
  }
}
