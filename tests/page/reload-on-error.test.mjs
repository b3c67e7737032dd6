// SPDX-License-Identifier: MIT
// The script in the page itself that loads the page again when one of its files can't be loaded.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import vm from 'node:vm';

const FILE = new URL('../../roles/tinypilot/files/app/tinypilot/static/common/reload-on-error.js', import.meta.url);

class HTMLScriptElement {}
class HTMLLinkElement {
  constructor(rel) {
    this.rel = rel;
  }
}

// A page whose timers and requests a test answers.
function makePage(answers) {
  const stored = new Map();
  const page = { pauses: [], reloads: 0, stored };
  const context = {
    HTMLScriptElement,
    HTMLLinkElement,
    AbortSignal: { timeout: (delay) => delay },
    Promise,
    addEventListener: (type, listen, capture) => {
      if (type === 'load') page.load = listen;
      else {
        assert.deepEqual([type, capture], ['error', true]);
        page.fail = (target) => listen({ target });
      }
    },
    sessionStorage: {
      getItem: (name) => stored.get(name) ?? null,
      setItem: (name, value) => stored.set(name, String(value)),
      removeItem: (name) => stored.delete(name),
    },
    setTimeout: (resolve, delay) => {
      page.pauses.push(delay);
      resolve();
    },
    fetch: async (_url, { signal }) => {
      assert.equal(signal, 5000);
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return { ok: answer };
    },
    location: { href: 'https://kvm.example/', reload: () => page.reloads++ },
  };
  vm.runInNewContext(readFileSync(FILE, 'utf8'), context, { filename: FILE.href });
  return page;
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('a script that is missing reloads the page once it can be had, ever more slowly', async () => {
  const page = makePage([new TypeError('no network'), false, true]);
  page.fail(new HTMLScriptElement());
  page.fail(new HTMLScriptElement());
  await settle();
  assert.equal(page.reloads, 1);
  assert.deepEqual(page.pauses, [2000, 4000, 8000]);
  assert.equal(page.stored.get('reload-pause-ms'), '16000');
});

test('the pause has an end', async () => {
  const page = makePage([...Array(6).fill(false), true]);
  page.fail(new HTMLScriptElement());
  await settle();
  assert.deepEqual(page.pauses, [2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

test('an error of another kind reloads nothing', async () => {
  const page = makePage([true]);
  page.fail({});
  page.fail(new HTMLLinkElement('modulepreload'));
  page.fail(new HTMLLinkElement('icon'));
  await settle();
  assert.deepEqual([page.reloads, page.pauses], [0, []]);
});

test('a style sheet that is missing reloads the page as well', async () => {
  const page = makePage([true]);
  page.fail(new HTMLLinkElement('stylesheet'));
  await settle();
  assert.equal(page.reloads, 1);
});

test('the pause begins anew only after a page whose files were all there', async () => {
  const page = makePage([true]);
  page.stored.set('reload-pause-ms', '8000');
  page.fail(new HTMLScriptElement());
  page.load();
  await settle();
  assert.equal(page.stored.get('reload-pause-ms'), '4000');

  const whole = makePage([]);
  whole.stored.set('reload-pause-ms', '8000');
  whole.load();
  assert.deepEqual([...whole.stored], []);
});
