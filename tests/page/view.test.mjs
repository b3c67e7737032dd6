// SPDX-License-Identifier: MIT
// How the picture lies in the page, and what this browser remembers of that and of the transport.
import assert from 'node:assert/strict';
import { beforeEach, describe as group, test } from 'node:test';
import { FakeElement, FakeStorage } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { View } = await import(new URL('view.js', BASE));
const { TransportMenu } = await import(new URL('transport-menu.js', BASE));

let resized = null;
globalThis.ResizeObserver = class {
  constructor(action) {
    resized = action;
  }
  observe(element) {
    element.observed = true;
  }
};

beforeEach(() => {
  globalThis.localStorage = new FakeStorage();
  globalThis.devicePixelRatio = 2;
});

group('the view', () => {
  // A place of 820 by 620 at (10, 20), of which scrollbars take 20 at each side; a picture of 1280 by 720.
  function makeView(remembered) {
    if (remembered) localStorage.setItem('picture-view', JSON.stringify(remembered));
    const scroller = new FakeElement({
      getBoundingClientRect: () => ({ left: 10, top: 20, width: 820, height: 620 }),
      offsetWidth: 820,
      offsetHeight: 620,
      clientWidth: 800,
      clientHeight: 600,
      scrollLeft: 30,
      scrollTop: 40,
    });
    const shown = { width: 1280, height: 720 };
    return { scroller, shown, view: new View(scroller, { shown }) };
  }

  test('is fitted and upright at first, which the style sheet does', () => {
    const { scroller, view } = makeView();
    assert.deepEqual([view.rotation, view.isActual], [0, false]);
    assert.deepEqual(scroller.classes, { 'view-scrolls': false, 'view-placed': false });
    assert.deepEqual(scroller.properties, {});
    assert.deepEqual(view.view, { rotation: 0, scale: null, scrolled: { left: 30, top: 40 } });
    assert.deepEqual([view.width, view.height], [1280, 720]);
    assert.equal(scroller.observed, true);
  });

  test('is as large as its place without the scrollbars', () => {
    assert.deepEqual(makeView().view.box, { left: 10, top: 20, width: 800, height: 600 });
  });

  test('pixel for pixel counts those of the screen, and scrolls', () => {
    const { scroller, view } = makeView();
    view.isActual = true;
    assert.equal(view.isActual, true);
    assert.equal(view.view.scale, 0.5);
    assert.deepEqual(scroller.classes, { 'view-scrolls': true, 'view-placed': true });
    assert.deepEqual(scroller.properties, {
      '--picture-width': '640px',
      '--picture-height': '360px',
      '--picture-left': '80px',
      '--picture-top': '120px',
      '--picture-rotation': '0deg',
    });
  });

  test('rotated fits, with its middle where that of the place is', () => {
    const { scroller, view } = makeView();
    view.rotateRight();
    assert.equal(view.rotation, 90);
    assert.deepEqual(scroller.classes, { 'view-scrolls': false, 'view-placed': true });
    const { properties } = scroller;
    const number = (name) => Number.parseFloat(properties[`--picture-${name}`]);
    assert.equal(properties['--picture-rotation'], '90deg');
    // Its long side is as high as the place.
    assert.equal(number('width'), 600);
    assert.equal(number('height'), 337.5);
    assert.equal(number('left') + number('width') / 2, 400);
    assert.equal(number('top') + number('height') / 2, 300);
  });

  test('is rotated by quarters, and then upright again', () => {
    const { view } = makeView();
    const seen = [1, 2, 3, 4].map(() => {
      view.rotateRight();
      return view.rotation;
    });
    assert.deepEqual(seen, [90, 180, 270, 0]);
  });

  test('is remembered', () => {
    const { view } = makeView();
    view.rotateRight();
    view.isActual = true;
    const again = makeView().view;
    assert.deepEqual([again.rotation, again.isActual], [90, true]);
  });

  for (const rotation of [90, 180, 270]) {
    test(`is rotated by ${rotation} at once where that is remembered`, () => {
      const { scroller } = makeView({ rotation });
      assert.equal(scroller.properties['--picture-rotation'], `${rotation}deg`);
    });
  }

  test('that is remembered wrongly is as at first', () => {
    const { view } = makeView({ rotation: 45, actual: 'yes' });
    assert.deepEqual([view.rotation, view.isActual], [0, false]);
  });

  test('follows its place', () => {
    const { scroller } = makeView({ rotation: 90 });
    scroller.clientHeight = 300;
    resized();
    assert.equal(scroller.properties['--picture-width'], '300px');
  });

  test('places no picture that is not there', () => {
    const { scroller, shown, view } = makeView({ actual: true });
    shown.width = 0;
    view.layout();
    assert.deepEqual(scroller.classes, { 'view-scrolls': true, 'view-placed': false });
  });
});

group('the choice of the transport', () => {
  function makeMenu(remembered) {
    if (remembered) localStorage.setItem('picture-transport', remembered);
    const choices = ['', 'webrtc', 'mjpeg'].map((value) => new FakeElement({ value }));
    const note = new FakeElement({ hidden: true });
    const root = new FakeElement();
    globalThis.document = { documentElement: root, getElementById: () => note, querySelectorAll: () => choices };
    const connection = { pin: null };
    const menu = new TransportMenu(connection);
    const choose = (value) => choices.find((each) => each.value === value).dispatchEvent(new Event('change'));
    return { menu, connection, choose, note, root, checked: () => choices.filter((each) => each.checked) };
  }

  test("is nobody's at first", () => {
    const { connection, checked } = makeMenu();
    assert.equal(connection.pin, null);
    assert.deepEqual(
      checked().map(({ value }) => value),
      [''],
    );
  });

  test('is remembered until it is left to the page again', () => {
    const { connection, choose } = makeMenu();
    choose('mjpeg');
    assert.equal(connection.pin, 'mjpeg');
    const again = makeMenu();
    assert.equal(again.connection.pin, 'mjpeg');
    assert.deepEqual(
      again.checked().map(({ value }) => value),
      ['mjpeg'],
    );
    again.choose('');
    assert.equal(again.connection.pin, null);
    assert.equal(makeMenu().connection.pin, null);
    assert.equal(localStorage.getItem('picture-transport'), null);
  });

  test('of a transport that is none is not taken', () => {
    assert.equal(makeMenu('carrier pigeon').connection.pin, null);
  });

  test('is said, with why, over a live picture', () => {
    const { menu, note, root } = makeMenu();
    menu.show({ state: 'live', transport: 'mjpeg', reason: 'pinned' });
    assert.equal(root.dataset.transport, 'mjpeg');
    assert.match(note.textContent, /You chose this/);
    assert.equal(note.hidden, false);
    menu.show({ state: 'waiting', transport: 'mjpeg', reason: 'pinned' });
    assert.equal(note.textContent, '');
    assert.equal(note.hidden, true);
    menu.show({ state: 'live', transport: 'webrtc', reason: null });
    assert.equal(root.dataset.transport, 'webrtc');
    assert.equal(note.hidden, true);
  });

  test('is said once', () => {
    const { menu, note } = makeMenu();
    menu.show({ state: 'live', transport: 'mjpeg', reason: 'pinned' });
    note.hidden = 'untouched';
    menu.show({ state: 'live', transport: 'mjpeg', reason: 'pinned' });
    assert.equal(note.hidden, 'untouched');
  });
});
