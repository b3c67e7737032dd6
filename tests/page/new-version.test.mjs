// SPDX-License-Identifier: MIT
// A page that is open over an upgrade: it is loaded anew once, when there is another, and never while something would
// be lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);
const { followUpgrade } = await import(new URL('pages/new-version.js', BASE));

// served: the version that the web app serves at each look.
async function follow(served, { mayReload = true } = {}) {
  const did = [];
  await followUpgrade('new', {
    mayReload: () => mayReload,
    offer: () => did.push('offer'),
    serves: async (version) => (served.length > 1 ? served.shift() : served[0]) === version,
    pause: async () => did.push('pause'),
    reload: () => did.push('reload'),
  });
  return did;
}

test('the new page is loaded', async () => {
  assert.deepEqual(await follow(['new']), ['reload']);
});

test('it is waited for: the web app may be slower than the service that told of it', async () => {
  assert.deepEqual(await follow(['old', 'old', 'new']), ['pause', 'pause', 'reload']);
});

test('a page that never comes is not reloaded for ever, nor waited for', async () => {
  const did = await follow(['old']);
  assert.equal(did.includes('reload'), false);
  assert.equal(did.length, 59);
});

test('what would be lost is kept, and the person is asked', async () => {
  assert.deepEqual(await follow(['new'], { mayReload: false }), ['offer']);
});

test('what the device serves is looked for in its page', async () => {
  const asked = [];
  const pages = [
    () => Promise.reject(new TypeError('no network')),
    () => ({ ok: false, text: async () => 'data-version="new"' }),
    () => ({ ok: true, text: async () => '<html data-version="old">' }),
    () => ({ ok: true, text: async () => '<html data-version="new">' }),
  ];
  globalThis.fetch = async (path, { cache }) => {
    asked.push([path, cache]);
    return pages.shift()();
  };
  let reloads = 0;
  await followUpgrade('new', { mayReload: () => true, pause: async () => {}, reload: () => reloads++ });
  assert.deepEqual(asked, Array(4).fill(['/', 'no-store']));
  assert.equal(reloads, 1);
});
