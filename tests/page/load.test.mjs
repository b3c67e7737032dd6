// SPDX-License-Identifier: MIT
// Modules that are loaded when they are needed, over a network that comes and goes.
import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { settle } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/common/', import.meta.url);
const { load } = await import(new URL('load.js', BASE));

let asked = [];
let failing = 0;
let page = 0;
let url = '';

beforeEach(() => {
  page += 1;
  asked = [];
  url = `https://kvm/static/video/tool-${page}.js`;
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
});

const importModule = async (address) => {
  asked.push(address.replace('https://kvm', '').replace(`-${page}.js`, ''));
  failing -= 1;
  if (failing >= 0) throw new TypeError('Failed to fetch dynamically imported module');
  return { tool: address };
};

async function pass(ms) {
  await settle();
  mock.timers.tick(ms);
  await settle();
}

test('what arrives is asked for once', async () => {
  failing = 0;
  assert.equal((await load(url, importModule)).tool, url);
  assert.deepEqual(asked, ['/static/video/tool']);
});

test('what does not arrive is asked for again, each time where nothing is remembered of it', async () => {
  failing = 3;
  const loading = load(new URL(url), importModule);
  await pass(300);
  await pass(1000);
  await pass(3000);
  await loading;
  assert.deepEqual(asked, [
    '/static/video/tool',
    '/static/again-1/video/tool',
    '/static/again-2/video/tool',
    '/static/again-3/video/tool',
  ]);
});

test('it is given up after four tries, and the next wish begins where this one ended', async () => {
  failing = 5;
  const loading = load(url, importModule);
  loading.catch(() => {});
  for (const ms of [300, 1000, 3000]) await pass(ms);
  await assert.rejects(loading, TypeError);
  assert.equal(asked.length, 4);
  const next = load(url, importModule);
  await pass(300);
  await next;
  assert.deepEqual(asked.slice(4), ['/static/again-4/video/tool', '/static/again-5/video/tool']);
  await load(url, importModule);
  assert.equal(asked.at(-1), '/static/again-5/video/tool', 'what is there is not loaded anew');
});

test('a module that came on a second try has its own loaded from there, and then one further', async () => {
  failing = 1;
  url = url.replace('/static/', '/static/again-1/');
  const loading = load(url, importModule);
  await pass(300);
  await loading;
  assert.deepEqual(asked, ['/static/again-1/video/tool', '/static/again-2/video/tool']);
});
