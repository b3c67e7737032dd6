// SPDX-License-Identifier: MIT
// A part of the page, made by a script.

export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
