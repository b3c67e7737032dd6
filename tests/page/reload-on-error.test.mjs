// SPDX-License-Identifier: MIT
// The classic script that loads the page again when one of its other scripts can't be loaded.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import vm from 'node:vm';

const FILE = new URL('../../roles/tinypilot/files/app/tinypilot/static/pages/reload-on-error.js', import.meta.url);

class HTMLScriptElement {}

// A page whose timers and requests a test answers.
function makePage(answers) {
  const stored = new Map();
  const page = { pauses: [], reloads: 0, stored };
  const context = {
    HTMLScriptElement,
    AbortSignal: { timeout: (delay) => delay },
    Promise,
    addEventListener: (type, listen, capture) => {
      assert.deepEqual([type, capture], ['error', true]);
      page.fail = (target) => listen({ target });
    },
    sessionStorage: {
      getItem: (name) => stored.get(name) ?? null,
      setItem: (name, value) => stored.set(name, String(value)),
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
  await settle();
  assert.deepEqual([page.reloads, page.pauses], [0, []]);
});
