// SPDX-License-Identifier: MIT
// What the settings page says of a test of the device.
import assert from 'node:assert/strict';
import { before, describe as group, test } from 'node:test';
import { FakeElement } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);
const { describeParts, summarize } = await import(new URL('pages/device-test.js', BASE));

const PARTS = [
  { part: 'disk', title: 'Disk', state: 'poor', figure: '3 MiB/s', words: 'The disk is slow.' },
  { part: 'usb', title: 'USB', state: 'good', figure: 'takes keys', words: '' },
];

before(() => {
  globalThis.document = { createElement: (tag) => new FakeElement({ tag }) };
});

group('a row of a tested device', () => {
  test('has a title, the verdict in words, the figure, and what to do', () => {
    const [row] = describeParts(PARTS);
    assert.equal(row.tag, 'li');
    assert.equal(row.dataset.state, 'poor');
    assert.deepEqual(
      row.children.map(({ textContent }) => textContent),
      ['Disk', 'Could be better', '3 MiB/s', 'The disk is slow.'],
    );
  });

  test('where nothing is to be done has no words for it', () => {
    const [, row] = describeParts(PARTS);
    assert.deepEqual(
      row.children.map(({ textContent }) => textContent),
      ['USB', 'Good', 'takes keys'],
    );
  });
});

group('the summary', () => {
  test('counts what is to be looked at', () => {
    assert.equal(summarize([...PARTS, { state: 'bad' }, { state: 'unknown' }]), 'Tested. To be looked at: 2.');
  });

  test('of a device that is well says so', () => {
    assert.equal(summarize([{ state: 'good' }, { state: 'unknown' }]), 'Tested. Nothing is wrong.');
  });
});
