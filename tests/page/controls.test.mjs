// SPDX-License-Identifier: MIT
// The bar of keyboard and mouse, with a page and a device of which only what it uses is there.
import assert from 'node:assert/strict';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);

class Element extends EventTarget {
  dataset = {};
  textContent = '';
  parentElement = { requestFullscreen: async () => {} };

  focus() {
    document.activeElement = this;
  }

  blur() {
    document.activeElement = document.body;
  }

  click() {
    this.focus();
    this.dispatchEvent(new Event('click'));
  }

  requestPointerLock() {}
  setPointerCapture() {}
  setAttribute() {}
  append() {}
  replaceChildren() {}
}

let elements = {};
const page = Object.assign(new EventTarget(), {
  documentElement: new Element(),
  body: new Element(),
  hasFocus: () => true,
  createElement: () => new Element(),
  getElementById: (id) => {
    elements[id] ??= new Element();
    return elements[id];
  },
  querySelectorAll: () => [],
});
const nobody = { textContent: '' };
globalThis.document = Object.assign(page, { fullscreenEnabled: true });
const getElementById = page.getElementById;
page.getElementById = (id) => (id === 'words' ? nobody : getElementById(id));
globalThis.addEventListener = () => {};
Object.defineProperty(globalThis, 'navigator', { value: { platform: 'Linux', languages: ['en'] }, configurable: true });

class Device extends EventTarget {
  static OPEN = 1;
  readyState = 1;
  said = [];

  constructor() {
    super();
    Device.newest = this;
  }

  close() {}

  send(text) {
    const { type, ...fields } = JSON.parse(text);
    this.said.push(type === 'key' ? (fields.down ? '+' : '-') + fields.code : type);
  }

  tell(message) {
    this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(message) }));
  }
}
globalThis.WebSocket = Device;
// The socket's heartbeat would keep this process alive.
const { setInterval } = globalThis;
globalThis.setInterval = (...rest) => setInterval(...rest).unref();

const { Controls } = await import(new URL('controls.js', BASE));

// A page whose person is number 1.
function open({ missing = [], ...more } = {}) {
  elements = {};
  const stage = new Element();
  for (const name of missing) {
    stage[name] = undefined;
    stage.parentElement[name] = undefined;
  }
  Object.assign(page, { activeElement: page.body, fullscreenEnabled: true, ...more });
  new Controls({ url: '', stage, screen: { box: {}, watchBars: () => page.watched++ } }).start();
  const device = Device.newest;
  const people = [1, 2].map((number) => ({ number, name: `person ${number}`, mayControl: true, asks: false }));
  const owner = (number, leds = 0) =>
    device.tell({ type: 'state', owner: number, people, leds, usb: 'connected', idle: false });
  device.tell({ type: 'welcome', person: 1, codes: ['KeyA', 'Space', 'Enter', 'NumLock', 'CapsLock'], layouts: [] });
  const type = (code, locks = []) => {
    for (const name of ['keydown', 'keyup']) {
      const event = Object.assign(new Event(name, { cancelable: true }), {
        code,
        getModifierState: (lock) => locks.includes(lock),
      });
      document.activeElement.dispatchEvent(event);
    }
    return device.said.splice(0).join(' ');
  };
  return { ask: page.getElementById('control-ask'), device, element: page.getElementById, owner, stage, type };
}

test('what is typed after the controls were taken goes to the computer, before the device has answered, too', () => {
  const { ask, owner, type } = open();
  owner(null);
  ask.click();
  assert.equal(type('KeyA'), 'ask +KeyA -KeyA');
  assert.equal(type('Space'), '+Space -Space');
  owner(null); // the news of something else
  assert.equal(type('KeyA'), '+KeyA -KeyA');
  owner(1);
  assert.equal(type('Space'), '+Space -Space');
});

test('a click on the picture takes them likewise', () => {
  const { owner, stage, type } = open();
  owner(null);
  stage.dispatchEvent(Object.assign(new Event('pointerdown'), { clientX: 0, clientY: 0, buttons: 1 }));
  assert.equal(type('KeyA'), 'ask +KeyA -KeyA');
});

test('who was not the first types nothing', () => {
  const { ask, owner, type } = open();
  owner(null);
  ask.click();
  owner(2);
  assert.equal(type('KeyA'), 'ask');
  // And does not take them when that person has gone.
  owner(null);
  assert.equal(type('KeyA'), '');
});

test('the keyboard is on the picture when the controls are given to who has asked', () => {
  const { ask, owner, stage, type } = open();
  owner(2);
  ask.click();
  assert.equal(type('KeyA'), 'ask');
  owner(1);
  assert.equal(document.activeElement, stage);
  assert.equal(type('KeyA'), '+KeyA -KeyA');
});

test('who does something else by then goes on with it', () => {
  const { ask, element, owner } = open();
  owner(2);
  ask.click();
  element('open-keyboard').focus();
  owner(1);
  assert.equal(document.activeElement, element('open-keyboard'));
});

test('the button gives them up again', () => {
  const { ask, device, owner } = open();
  owner(1);
  ask.click();
  assert.deepEqual(device.said, ['give-up']);
});

for (const [what, browser, hidden] of [
  ['has all', {}, []],
  ['is a phone', { missing: ['requestFullscreen', 'requestPointerLock'] }, ['fullscreen', 'lock-pointer']],
  ['forbids the page to fill the screen', { fullscreenEnabled: false }, ['fullscreen']],
]) {
  test(`what is not there is not offered where the browser ${what}`, () => {
    const { element } = open(browser);
    const buttons = ['fullscreen', 'lock-pointer'];
    assert.deepEqual(
      buttons.filter((id) => element(id).hidden),
      hidden,
    );
  });
}

for (const [lock, button, led] of [
  ['NumLock', 'agree-num-lock', 1],
  ['CapsLock', 'agree-caps-lock', 2],
]) {
  test(`${lock} that differs is shown with the next key, and one click presses it there`, () => {
    const { device, element, owner, stage, type } = open();
    const agree = element(button);
    owner(1);
    stage.focus();
    assert.equal(agree.hidden, true);
    type('KeyA', [lock]);
    assert.equal(agree.hidden, false);
    agree.click();
    assert.deepEqual(device.said, ['combination']);
    assert.deepEqual([agree.hidden, document.activeElement], [true, stage]);
    owner(1, led);
    type('KeyA', [lock]);
    assert.equal(agree.hidden, true);
    type('KeyA');
    assert.equal(agree.hidden, false);
    // The person presses it there and here: what it is here the next key tells.
    type(lock, [lock]);
    assert.equal(agree.hidden, true);
    type('KeyA');
    owner(1, 0);
    assert.equal(agree.hidden, true);
  });
}

test('it is offered once where the computer does not light it, and to nobody who only watches', () => {
  const { element, owner, stage, type } = open();
  const agree = element('agree-num-lock');
  owner(1);
  stage.focus();
  type('KeyA', ['NumLock']);
  agree.click();
  type('KeyA', ['NumLock']);
  assert.equal(agree.hidden, true);
  owner(1, 1);
  type('KeyA');
  assert.equal(agree.hidden, false);
  owner(2, 1);
  assert.equal(agree.hidden, true);
});
