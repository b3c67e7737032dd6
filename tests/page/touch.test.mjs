// SPDX-License-Identifier: MIT
// A tap and then a touch: what fingers drag with.
import assert from 'node:assert/strict';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { LONG_PRESS_MS, TouchGestures } = await import(new URL('touch-gestures.js', BASE));

const at = (x, y) => ({ x, y });

// A tap at 5, 5 that ends after 100 ms, and a finger that comes down again.
function tapAndTouch({ point = at(8, 8), now = 300 } = {}) {
  const touch = new TouchGestures();
  touch.down(1, at(5, 5), 0);
  assert.deepEqual(touch.up(1, 100), [{ click: 0 }]);
  assert.deepEqual(touch.down(2, point, now), [{ move: point }]);
  return touch;
}

test('a tap and a touch that moves hold the button during the move', () => {
  const touch = tapAndTouch();
  assert.deepEqual(touch.move(2, at(10, 10)), []);
  assert.deepEqual(touch.move(2, at(50, 10)), [{ press: 0 }, { move: at(50, 10) }]);
  assert.deepEqual(touch.move(2, at(60, 10)), [{ move: at(60, 10) }]);
  assert.deepEqual(touch.wait(300 + LONG_PRESS_MS), []);
  assert.deepEqual(touch.up(2, 900), [{ release: 0 }]);
  assert.deepEqual(touch.down(3, at(60, 10), 1000), [{ move: at(60, 10) }]);
  assert.deepEqual(touch.move(3, at(90, 10)), [{ move: at(90, 10) }]);
});

test('a tap and a touch that stays hold it, too', () => {
  const touch = tapAndTouch();
  assert.deepEqual(touch.wait(300 + LONG_PRESS_MS), [{ press: 0 }]);
  assert.deepEqual(touch.move(2, at(50, 10)), [{ move: at(50, 10) }]);
  assert.deepEqual(touch.up(2, 2000), [{ release: 0 }]);
});

test('two taps are two clicks, and a third may drag', () => {
  const touch = tapAndTouch();
  assert.deepEqual(touch.up(2, 350), [{ click: 0 }]);
  touch.down(3, at(8, 8), 500);
  assert.deepEqual(touch.move(3, at(50, 10)), [{ press: 0 }, { move: at(50, 10) }]);
});

for (const [what, where] of [
  ['much later', { now: 2000 }],
  ['elsewhere', { point: at(300, 5) }],
]) {
  test(`a touch ${what} drags nothing`, () => {
    const touch = tapAndTouch(where);
    assert.deepEqual(touch.move(2, at(400, 400)), [{ move: at(400, 400) }]);
    assert.deepEqual(touch.up(2, 3000), []);
  });
}

test('a second finger ends the drag, and scrolls', () => {
  const touch = tapAndTouch();
  touch.move(2, at(50, 10));
  assert.deepEqual(touch.down(3, at(80, 10), 900), [{ release: 0 }]);
  assert.deepEqual(touch.move(3, at(80, 30)), [{ scroll: { deltaX: 0, deltaY: -10 } }]);
  assert.deepEqual([...touch.up(3, 1000), ...touch.up(2, 1000)], []);
});

test('a drag is no tap: what comes right after it drags nothing', () => {
  const touch = tapAndTouch({ now: 150 });
  touch.move(2, at(30, 10));
  assert.deepEqual(touch.up(2, 250), [{ release: 0 }]);
  touch.down(3, at(8, 8), 300);
  assert.deepEqual(touch.move(3, at(50, 10)), [{ move: at(50, 10) }]);
});

test('a finger whose end was kept from the page is none when the browser says so', () => {
  const touch = new TouchGestures();
  touch.down(1, at(500, 500), 0, true);
  for (const id of [2, 3]) {
    const now = 10000 * id;
    assert.deepEqual(touch.down(id, at(5, 5), now, true), [{ move: at(5, 5) }]);
    assert.deepEqual(touch.up(id, now + 100), [{ click: 0 }]);
  }
});

test('a drag whose end was kept from the page ends with the next touch', () => {
  const touch = tapAndTouch();
  touch.move(2, at(50, 10));
  assert.deepEqual(touch.down(3, at(9, 9), 5000, true), [{ release: 0 }, { move: at(9, 9) }]);
  assert.deepEqual(touch.up(3, 5100), [{ click: 0 }]);
});

test('nothing is left of a drag that was cancelled', () => {
  const touch = tapAndTouch();
  touch.move(2, at(50, 10));
  touch.cancel();
  assert.deepEqual(touch.up(2, 900), []);
  touch.down(4, at(50, 10), 950);
  assert.deepEqual(touch.move(4, at(90, 10)), [{ move: at(90, 10) }]);
});

// --- At the picture ---

const { Capture } = await import(new URL('capture.js', BASE));

function picture(t) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const stage = Object.assign(new EventTarget(), { setPointerCapture() {} });
  globalThis.document = Object.assign(new EventTarget(), { activeElement: stage, hasFocus: () => true });
  globalThis.addEventListener = () => {};
  Object.defineProperty(globalThis, 'navigator', { value: { platform: 'iPhone' }, configurable: true });
  t.after(() => {
    delete globalThis.document;
    delete globalThis.addEventListener;
  });
  const said = [];
  const capture = new Capture({
    stage,
    screen: { width: 32768, height: 32768, box: { left: 0, top: 0, width: 32768, height: 32768 } },
    socket: { say: (type, { x, down }) => said.push(type === 'move' ? x : down) },
  });
  capture.enabled = true;
  const happen = (type, clientX, fields) => {
    const event = { pointerType: 'touch', pointerId: 1, clientX, clientY: 0, ...fields };
    stage.dispatchEvent(Object.assign(new Event(type), event));
  };
  return { happen, said };
}

test('the button is held on the computer while the finger moves', (t) => {
  const { happen, said } = picture(t);
  for (const type of ['pointerdown', 'pointerup', 'pointerdown']) happen(type, 100);
  happen('pointermove', 200);
  happen('pointerup', 200);
  assert.deepEqual(said, [100, true, false, 100, true, 200, false]);
});

test('a tap clicks though the end of another finger was kept from the page', (t) => {
  const { happen, said } = picture(t);
  happen('pointerdown', 100, { isPrimary: true });
  happen('pointerdown', 200, { isPrimary: true, pointerId: 2 });
  happen('pointerup', 200, { isPrimary: true, pointerId: 2 });
  assert.deepEqual(said, [100, 200, true, false]);
});

test('two fingers that part pinch, and do so until one is up', () => {
  const touch = new TouchGestures();
  touch.down(1, { x: 100, y: 100 }, 0);
  touch.down(2, { x: 200, y: 100 }, 10);
  assert.deepEqual(touch.move(2, { x: 230, y: 100 }), [{ scroll: { deltaX: -15, deltaY: 0 } }]);
  assert.deepEqual(touch.move(1, { x: 89, y: 100 }), [{ scroll: { deltaX: 5.5, deltaY: 0 } }]);
  const [{ pinch }] = touch.move(1, { x: 88, y: 100 });
  assert.deepEqual(pinch, { factor: 142 / 141, from: { x: 159.5, y: 100 }, to: { x: 159, y: 100 } });
  // Back again it pinches still.
  assert.equal(touch.move(2, { x: 188, y: 100 })[0].pinch.factor, 100 / 142);
  touch.up(2, 100);
  assert.deepEqual(touch.move(1, { x: 101, y: 100 }), []);
  touch.up(1, 110);
  touch.down(1, { x: 100, y: 100 }, 1000);
  touch.down(2, { x: 200, y: 100 }, 1010);
  assert.deepEqual(touch.move(2, { x: 200, y: 110 }), [{ scroll: { deltaX: 0, deltaY: -5 } }]);
});

test('fingers that go the same way or cross it scroll, however far', () => {
  for (const end of [
    { x: 300, y: 400 },
    { x: 400, y: 100 },
  ]) {
    const touch = new TouchGestures();
    touch.down(1, { x: 100, y: 100 }, 0);
    touch.down(2, { x: 200, y: 100 }, 10);
    assert.ok(touch.move(1, { x: 100, y: 400 })[0].scroll);
    assert.ok(touch.move(2, end)[0].scroll);
  }
});

test('fingers that were at one place do not pinch without end', () => {
  const touch = new TouchGestures();
  touch.down(1, { x: 100, y: 100 }, 0);
  touch.down(2, { x: 100, y: 100 }, 10);
  touch.move(1, { x: 120, y: 100 });
  touch.move(1, { x: 80, y: 100 });
  assert.equal(touch.move(2, { x: 120, y: 100 })[0].pinch.factor, 2);
});
