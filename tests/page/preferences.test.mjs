// SPDX-License-Identifier: MIT
// Site data as browsers really have it: blocked, full, damaged, or of another version of the page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';

const STATIC = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);

// The page's elements, as far as the parts ask for them.
const part = () => Object.assign(new EventTarget(), { replaceChildren() {}, classList: { toggle() {} }, dataset: {} });
const choices = ['', 'webrtc', 'mjpeg'].map((value) => Object.assign(part(), { value }));
globalThis.document = {
  documentElement: part(),
  getElementById: () => null,
  querySelectorAll: () => choices,
};
globalThis.ResizeObserver = class {
  observe() {}
};
globalThis.Option = class {
  constructor(_name, value, _isDefault, isSelected) {
    Object.assign(this, { value, isSelected });
  }
};

function store(t, getStorage) {
  Object.defineProperty(globalThis, 'localStorage', { get: getStorage, configurable: true });
  t.after(() => delete globalThis.localStorage);
}

function holding(entries) {
  const stored = new Map(Object.entries(entries));
  return {
    stored,
    getItem: (name) => stored.get(name) ?? null,
    setItem: (name, value) => stored.set(name, String(value)),
    removeItem: (name) => stored.delete(name),
  };
}

const { recall, remember } = await import(new URL('common/preferences.js', STATIC));
const { View } = await import(new URL('video/view.js', STATIC));
const { TransportMenu } = await import(new URL('video/transport-menu.js', STATIC));
const { PasteDialog } = await import(new URL('hid/paste-dialog.js', STATIC));
const { loadOwn, saveOwn } = await import(new URL('hid/combinations.js', STATIC));

const LAYOUTS = ['de', 'en-us', 'fr'].map((id) => ({ id }));
Object.defineProperty(globalThis, 'navigator', { value: { languages: ['en-US'] }, configurable: true });

// What the page would start with.
function begin() {
  const connection = { shown: { width: 0, height: 0 }, pin: null };
  const view = new View(part(), connection);
  new TransportMenu(connection);
  const layout = Object.assign(part(), {
    value: '',
    replaceChildren: (...options) => {
      layout.options = options;
    },
  });
  const parts = new Proxy({ layout }, { get: (made, name) => (name in made ? made[name] : part()) });
  new PasteDialog(parts, new EventTarget()).layouts = LAYOUTS;
  return {
    rotation: view.rotation,
    actual: view.isActual,
    shape: view.shape,
    pin: connection.pin,
    layout: layout.options.find(({ isSelected }) => isSelected)?.value,
    own: loadOwn(),
  };
}

const DEFAULTS = { rotation: 0, actual: false, shape: 'auto', pin: null, layout: 'en-us', own: [] };
const NAMES = ['picture-view', 'picture-transport', 'paste-layout', 'combinations'];

const STRANGE = [
  '{',
  '',
  'null',
  '3',
  'true',
  '"x"',
  '[]',
  '{}',
  '[[]]',
  '[null]',
  'undefined',
  '\u0000',
  'de-xx',
  'h265',
];
const SHAPES = ['{"rotation":"90","actual":1}', '{"rotation":45}', '[["a b"]]', '[[1]]', '["KeyA"]', '{"length":1}'];
const LONG = [JSON.stringify([['K'.repeat(33)]]), '['.repeat(100_000)];
const FORMS = ['0:0', '0:9', '16:0', '1:99999', '-16:9', '16:9 ', ['16:9'], ['auto'], { 1: 2 }, 16, true, null];
const PICTURES = FORMS.map((shape) => JSON.stringify({ shape }));
for (const text of [...STRANGE, ...SHAPES, ...LONG, ...PICTURES]) {
  test(`the page starts with its defaults where ${JSON.stringify(text).slice(0, 50)} is stored`, (t) => {
    const storage = holding(Object.fromEntries(NAMES.map((name) => [name, text])));
    store(t, () => storage);
    assert.deepEqual(begin(), DEFAULTS);
  });
}

test('of very many combinations of keys the newest are kept', (t) => {
  const many = Array.from({ length: 5000 }, (_, index) => [`F${index}`]);
  const storage = holding({ combinations: JSON.stringify(many) });
  store(t, () => storage);
  assert.deepEqual(loadOwn(), many.slice(-50));
  saveOwn([...loadOwn(), ['KeyA']]);
  assert.deepEqual(loadOwn(), [...many.slice(-49), ['KeyA']]);
});

test('shapes that the page offers, and names as long as keys have, are remembered', (t) => {
  const own = [['K'.repeat(32)]];
  for (const shape of ['none', '16:9', '4:3', '5:4', '21:9']) {
    const storage = holding({ 'picture-view': JSON.stringify({ shape }), combinations: JSON.stringify(own) });
    store(t, () => storage);
    assert.deepEqual(begin(), { ...DEFAULTS, shape, own });
  }
});

for (const [what, getStorage] of [
  [
    'may not be asked for',
    () => {
      throw new DOMException('denied', 'SecurityError');
    },
  ],
  ['is not there', () => null],
  [
    'fails at each use',
    () =>
      new Proxy(
        {},
        {
          get() {
            throw new DOMException('broken', 'InvalidStateError');
          },
        },
      ),
  ],
]) {
  test(`the page starts, and choices hold while it is open, where storage ${what}`, (t) => {
    store(t, getStorage);
    assert.deepEqual(begin(), DEFAULTS);
    saveOwn([['AltLeft', 'KeyX']]);
    remember('paste-layout', 'fr');
    assert.deepEqual(begin(), { ...DEFAULTS, layout: 'fr', own: [['AltLeft', 'KeyX']] });
    remember('paste-layout', null);
    saveOwn([]);
    assert.deepEqual(begin(), DEFAULTS);
  });
}

test('a choice that does not fit any more into a full storage holds while the page is open', (t) => {
  const storage = holding({ 'paste-layout': 'de' });
  storage.setItem = () => {
    throw new DOMException('full', 'QuotaExceededError');
  };
  store(t, () => storage);
  remember('paste-layout', 'fr');
  assert.equal(begin().layout, 'fr');
  remember('paste-layout', null);
  assert.equal(begin().layout, 'en-us');
});

test('what was chosen is there at the next visit', (t) => {
  const storage = holding({});
  store(t, () => storage);
  remember('picture-view', { rotation: 90, actual: true, shape: '16:10' });
  remember('picture-transport', 'mjpeg');
  remember('paste-layout', 'de');
  saveOwn([['AltLeft', 'KeyX']]);
  const own = [['AltLeft', 'KeyX']];
  const chosen = { rotation: 90, actual: true, shape: '16:10', pin: 'mjpeg', layout: 'de', own };
  assert.deepEqual(begin(), chosen);
  assert.equal(storage.stored.get('picture-transport'), 'mjpeg');
  remember('picture-transport', null);
  assert.equal(storage.stored.has('picture-transport'), false);
});

test('of a list the good entries are kept', (t) => {
  const storage = holding({ combinations: '[["AltLeft","KeyX"], 7]' });
  store(t, () => storage);
  assert.deepEqual(loadOwn(), [['AltLeft', 'KeyX']]);
  assert.equal(
    recall('combinations', () => false),
    null,
  );
});

// Each pause of reload-on-error.js, which is no module, before the page can be had again.
async function pausesWith(sessionStorage, answers) {
  const pauses = [];
  const context = {
    HTMLScriptElement: class {},
    AbortSignal: { timeout() {} },
    addEventListener: (type, listen) => {
      if (type === 'error') context.fail = () => listen({ target: new context.HTMLScriptElement() });
    },
    setTimeout: (resolve, delay) => {
      pauses.push(delay);
      resolve();
    },
    fetch: async () => ({ ok: answers.shift() }),
    location: { reload() {} },
  };
  Object.defineProperty(context, 'sessionStorage', { get: sessionStorage });
  const file = new URL('common/reload-on-error.js', STATIC);
  vm.runInNewContext(readFileSync(file, 'utf8'), context, { filename: file.href });
  context.fail();
  await new Promise((resolve) => setImmediate(resolve));
  return pauses;
}

test('a page whose scripts are missing tries ever more slowly where storage is blocked, too', async () => {
  const blocked = () => {
    throw new DOMException('denied', 'SecurityError');
  };
  assert.deepEqual(await pausesWith(blocked, [false, false, true]), [2000, 4000, 8000]);
});

for (const text of ['x', '-5', '1e12', 'Infinity', '{}']) {
  test(`its pause has bounds where "${text}" is stored`, async () => {
    const [pause] = await pausesWith(() => holding({ 'reload-pause-ms': text }), [true]);
    assert.ok(pause >= 2000 && pause <= 30000, String(pause));
  });
}
