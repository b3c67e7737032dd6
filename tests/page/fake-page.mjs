// SPDX-License-Identifier: MIT
// As much of a page as its modules need where there is no browser.

export class FakeElement extends EventTarget {
  hidden = false;
  disabled = false;
  textContent = '';
  value = '';
  dataset = {};
  attributes = {};
  children = [];
  classes = {};
  style = { setProperty: (name, value) => Object.assign(this.properties, { [name]: value }) };
  properties = {};
  did = []; // focus, select and the like, in their order
  classList = {
    toggle: (name, on) => {
      this.classes[name] = on;
    },
  };

  constructor(facts = {}) {
    super();
    Object.assign(this, facts);
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  append(...children) {
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.children = children;
  }

  focus() {
    this.did.push('focus');
  }

  select() {
    this.did.push('select');
  }

  click() {
    this.dispatchEvent(new Event('click'));
  }
}

// A form with what was typed into its fields.
export class FakeForm extends FakeElement {
  error = new FakeElement({ textContent: 'of last time' });
  button = new FakeElement({ disabled: true });
  elements = { code: new FakeElement(), password: new FakeElement() };

  constructor({ typed = {} } = {}) {
    super();
    this.typed = typed;
  }

  querySelector(selector) {
    return { '.error': this.error, '[type=submit]': this.button }[selector];
  }

  // What the browser does by itself if nobody prevents it.
  submit() {
    const event = new Event('submit', { cancelable: true });
    this.dispatchEvent(event);
    return !event.defaultPrevented;
  }
}

export class FakeStorage {
  kept = {};

  getItem(name) {
    return this.kept[name] ?? null;
  }

  setItem(name, value) {
    this.kept[name] = String(value);
  }

  removeItem(name) {
    delete this.kept[name];
  }
}

globalThis.FormData = class {
  constructor(form) {
    this[Symbol.iterator] = () => Object.entries(form.typed)[Symbol.iterator]();
  }
};

// Promises come to rest, which needs some rounds.
export async function settle() {
  for (let round = 0; round < 20; round += 1) await Promise.resolve();
}
