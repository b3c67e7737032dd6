// SPDX-License-Identifier: MIT
// The dialog that types a text: what can be sent when, and what it says.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { FakeElement, FakeStorage } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { PasteDialog } = await import(new URL('paste-dialog.js', BASE));

globalThis.Option = class {
  constructor(text, value, isDefault, selected) {
    Object.assign(this, { text, value, isDefault, selected });
  }
};

beforeEach(() => {
  globalThis.localStorage = new FakeStorage();
  Object.defineProperty(globalThis, 'navigator', { value: { languages: ['de-AT'] }, configurable: true });
  mock.timers.enable({ apis: ['setTimeout'] });
});
afterEach(() => mock.timers.reset());

function makeDialog() {
  const names = ['dialog', 'text', 'layout', 'missing', 'start', 'cancel', 'progress', 'result', 'pace'];
  names.push('mend', 'instead', 'replace', 'leaveOut');
  const parts = Object.fromEntries(names.map((name) => [name, new FakeElement()]));
  parts.dialog.showModal = () => parts.dialog.did.push('show');
  parts.layout.value = 'de';
  const said = [];
  const socket = Object.assign(new EventTarget(), { say: (type, fields) => said.push(fields ? [type, fields] : type) });
  const hear = (type, detail) => socket.dispatchEvent(new CustomEvent(type, { detail }));
  const dialog = new PasteDialog(parts, socket);
  const type = (text) => {
    parts.text.value = text;
    parts.text.dispatchEvent(new Event('input'));
  };
  return { ...parts, paste: dialog, said, hear, type };
}

group('a text', () => {
  test('is checked shortly after it was typed, once, and can be sent then', () => {
    const { hear, missing, said, start, type } = makeDialog();
    start.disabled = false;
    type('h');
    type('hello');
    assert.equal(start.disabled, true);
    mock.timers.tick(199);
    assert.deepEqual(said, []);
    mock.timers.tick(1);
    assert.deepEqual(said, [['check', { layout: 'de', text: 'hello' }]]);
    mock.timers.tick(1000);
    assert.equal(said.length, 1);
    hear('checked', { untypable: [] });
    assert.equal(start.disabled, false);
    assert.equal(missing.textContent, '');
  });

  test('that the layout can not type is not sent, and says what is in the way', () => {
    const { hear, missing, start, type } = makeDialog();
    type('a');
    hear('checked', { untypable: ['€', '\u0007'] });
    assert.equal(start.disabled, true);
    assert.match(missing.textContent, /€ U\+0007$/);
  });

  test('that is empty is not checked, nor sent', () => {
    const { missing, said, start, type } = makeDialog();
    type('abc');
    missing.textContent = 'of before';
    type('');
    mock.timers.tick(1000);
    assert.deepEqual(said, []);
    assert.equal(start.disabled, true);
    assert.equal(missing.textContent, '');
  });

  test('is counted in characters, of which there is a limit', () => {
    const { missing, said, start, type } = makeDialog();
    type('😀'.repeat(20000));
    mock.timers.tick(1000);
    assert.equal(said.length, 1);
    type('😀'.repeat(20001));
    mock.timers.tick(1000);
    assert.equal(said.length, 1);
    assert.equal(start.disabled, true);
    assert.match(missing.textContent, /20,001 .* 20,000/);
  });

  test('is checked anew for another layout, which is remembered', () => {
    const { layout, said, type } = makeDialog();
    type('abc');
    mock.timers.tick(1000);
    layout.value = 'fr';
    layout.dispatchEvent(new Event('change'));
    mock.timers.tick(1000);
    assert.deepEqual(said.at(-1), ['check', { layout: 'fr', text: 'abc' }]);
    assert.equal(localStorage.getItem('paste-layout'), 'fr');
  });
});

group('the typing', () => {
  test('is started once, and shows how far it is', () => {
    const { cancel, hear, progress, result, said, start, text } = makeDialog();
    text.value = 'hello';
    Object.assign(start, { disabled: false });
    Object.assign(progress, { value: 7, hidden: true });
    Object.assign(cancel, { hidden: true });
    result.textContent = 'of before';
    start.click();
    assert.deepEqual(said, [['paste', { layout: 'de', text: 'hello', pace: 'fast' }]]);
    assert.deepEqual([start.disabled, progress.value, result.textContent], [true, 0, '']);
    hear('paste', { state: 'typing', done: 2, total: 5 });
    assert.deepEqual([progress.hidden, progress.value, progress.max, cancel.hidden], [false, 2, 5, false]);
    assert.equal(start.disabled, true);
    assert.equal(result.textContent, '');
    hear('paste', { state: 'done', done: 5, total: 5 });
    assert.deepEqual([progress.hidden, cancel.hidden, start.disabled], [true, true, false]);
    assert.equal(result.textContent, 'Done.');
  });

  test('of a text that is gone meanwhile can not be started again', () => {
    const { hear, start } = makeDialog();
    hear('paste', { state: 'done', done: 5, total: 5 });
    assert.equal(start.disabled, true);
  });

  test('that the device refuses says why', () => {
    const { hear, missing, result, start } = makeDialog();
    hear('paste', { state: 'refused', untypable: ['€'] });
    assert.match(missing.textContent, /€$/);
    assert.equal(start.disabled, true);
    assert.equal(result.textContent, '');
  });

  test('ends with the button, the dialog or the connection', () => {
    const { cancel, dialog, hear, progress, result, said } = makeDialog();
    cancel.click();
    dialog.dispatchEvent(new Event('close'));
    assert.deepEqual(said, ['cancel', 'cancel']);
    hear('lost');
    assert.equal(result.textContent, 'Cancelled.');
    assert.deepEqual([progress.value, progress.max], [0, 1]);
    hear('paste', { state: 'disconnected', done: 1, total: 5 });
    assert.match(result.textContent, /went away/);
  });
});

test('an opened dialog forgets the last result, and checks what it holds', () => {
  const { dialog, paste, result, said, text } = makeDialog();
  text.value = 'abc';
  result.textContent = 'Done.';
  paste.open();
  assert.deepEqual(dialog.did, ['show']);
  assert.equal(result.textContent, '');
  mock.timers.tick(1000);
  assert.equal(said.length, 1);
});

group('the layouts', () => {
  const layouts = [{ id: 'fr' }, { id: 'en-us' }, { id: 'de' }];
  const chosen = (layout) => layout.children.filter(({ selected }) => selected).map(({ value }) => value);

  test('have names, in their order', () => {
    const { layout, paste } = makeDialog();
    paste.layouts = layouts;
    assert.deepEqual(
      layout.children.map(({ text, value, isDefault }) => [text, value, isDefault]),
      [
        ['English (United States)', 'en-us', false],
        ['French', 'fr', false],
        ['German', 'de', false],
      ],
    );
  });

  test('are chosen by what is chosen already, then as last time, then as the person reads', () => {
    const { layout, paste } = makeDialog();
    paste.layouts = layouts;
    assert.deepEqual(chosen(layout), ['de']);
    localStorage.setItem('paste-layout', 'fr');
    paste.layouts = layouts;
    assert.deepEqual(chosen(layout), ['de']);
    layout.value = '';
    paste.layouts = layouts;
    assert.deepEqual(chosen(layout), ['fr']);
    localStorage.removeItem('paste-layout');
    paste.layouts = layouts;
    assert.deepEqual(chosen(layout), ['de']);
  });
});
