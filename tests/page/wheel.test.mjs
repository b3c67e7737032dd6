// SPDX-License-Identifier: MIT
// The wheel as browsers, systems and hands turn it.
import assert from 'node:assert/strict';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { WheelSteps } = await import(new URL('wheel-steps.js', BASE));

// How many steps down these distances are, one event each `every` ms.
function stepsOf(deltas, { every = 16, deltaMode = 0, wheel = new WheelSteps(), from = 1000, ...how } = {}) {
  let steps = 0;
  for (const [index, deltaY] of deltas.entries()) {
    steps -= wheel.notches({ deltaX: 0, deltaY, deltaMode, timeStamp: from + index * every }, how).wheel;
  }
  return steps;
}

const times = (count, delta) => Array(count).fill(delta);

for (const zoom of [0.25, 0.33, 0.5, 0.67, 0.75, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5]) {
  for (const notch of [100, 120]) {
    const pixels = notch / zoom;
    test(`a notch of ${pixels.toFixed(2)} px, at a zoom of ${zoom}, is a step`, () => {
      for (const every of [0, 16, 100, 500]) {
        assert.equal(stepsOf(times(5, pixels), { every, pixelRatio: zoom }), 5);
        assert.equal(stepsOf(times(5, -pixels), { every, pixelRatio: zoom }), -5);
        assert.equal(stepsOf([pixels], { pixelRatio: zoom }), 1);
      }
      // Turned fast, several come as one.
      assert.equal(stepsOf([pixels, 3 * pixels, 2 * pixels], { pixelRatio: zoom }), 6);
    });
  }
}

for (const pixels of [66.66, 66.66667, 53, 48, 57, 80, 40.5, 133.33, 20]) {
  test(`a notch of ${pixels} px is a step, though nothing tells of a zoom`, () => {
    assert.equal(stepsOf(times(5, pixels)), 5);
    assert.equal(stepsOf(times(5, pixels), { every: 1000 }), 5);
    assert.equal(stepsOf([pixels]), 1);
  });
}

test('a notch is a step where a display of high resolution is not in the pixels', () => {
  for (const pixels of [100, 120]) {
    for (const every of [16, 500]) assert.equal(stepsOf(times(5, pixels), { every, pixelRatio: 2 }), 5);
    assert.equal(stepsOf([pixels, 3 * pixels], { pixelRatio: 2 }), 4);
    // Where it is in them, of two that came as one the second is lost, and no more.
    assert.equal(stepsOf([pixels, pixels / 2, 2 * pixels], { pixelRatio: 2 }), 6);
  }
});

for (const [lines, steps] of [
  [1, 1],
  [2, 1],
  [3, 1],
  [6, 2],
  [9, 3],
]) {
  test(`${lines} lines are ${steps}`, () => {
    assert.equal(stepsOf([lines], { deltaMode: 1 }), steps);
    assert.equal(stepsOf(times(5, lines), { deltaMode: 1 }), 5 * steps);
  });
}

test('a page is a step, and the parts of a notch add up to one', () => {
  assert.equal(stepsOf(times(5, 1), { deltaMode: 2 }), 5);
  assert.equal(stepsOf(times(16, 3 / 8), { deltaMode: 1 }), 2);
  assert.equal(stepsOf(times(16, 1 / 8), { deltaMode: 2 }), 2);
  assert.equal(stepsOf(times(16, 100 / 8)), 2);
});

test('Firefox is asked for lines before it is asked how many', () => {
  const asked = [];
  const get = (of, name) => {
    asked.push(name);
    return of[name];
  };
  const event = new Proxy({ deltaX: 0, deltaY: 3, deltaMode: 1, timeStamp: 0 }, { get });
  new WheelSteps().notches(event);
  assert.equal(asked[0], 'deltaMode');
});

// As a hand does it: from slow to fast and out.
const SWIPE = [1, 2, 4, 9, 17, 28, 36, 43, 51, 57, 60, 57, 51, 43, 36, 30, 25, 21, 17, 14, 11, 9, 7, 5, 4, 3, 2, 1, 1];
const SUM = SWIPE.reduce((sum, each) => sum + each, 0);

test('a touchpad moves smoothly', () => {
  assert.equal(stepsOf(SWIPE), Math.floor(SUM / 100));
  const wheel = new WheelSteps();
  assert.equal(stepsOf(SWIPE, { wheel }) + stepsOf(SWIPE, { wheel, from: 5000 }), Math.floor((2 * SUM) / 100));
});

test('a touchpad that is thrown at once is no faster', () => {
  const thrown = SWIPE.slice(SWIPE.indexOf(28));
  const sum = thrown.reduce((all, each) => all + each, 0);
  assert.equal(stepsOf(thrown), Math.floor(sum / 100));
  assert.equal(stepsOf(thrown.map((each) => -each)), -Math.floor(sum / 100));
});

test('a throw is as long as its way, wherever it ends, and the next one, too', () => {
  const thrown = SWIPE.slice(SWIPE.indexOf(28));
  for (let end = 4; end <= thrown.length; end++) {
    const part = thrown.slice(0, end);
    const sum = part.reduce((all, each) => all + each, 0);
    const wheel = new WheelSteps();
    assert.equal(stepsOf(part, { wheel }), Math.floor(sum / 100), `${end}`);
    assert.equal(stepsOf(part, { wheel, from: 5000 }), Math.floor((2 * sum) / 100) - Math.floor(sum / 100), `${end}`);
  }
});

test('a throw never goes back', () => {
  const wheel = new WheelSteps();
  const steps = [28, 36, 43, 51].map((delta, index) => stepsOf([delta], { wheel, from: 1000 + 16 * index }));
  assert.deepEqual(steps, [1, 0, 0, 0]);
});

test('a smooth movement has no notches, though it may be as fast as one', () => {
  assert.equal(stepsOf([10, 60, 120, 120, 120, 80]), 5);
});

test('a movement of less than a pixel at a time adds up', () => {
  assert.equal(stepsOf(times(400, 0.4)), 1);
});

test('a notch that was followed by one like it owes nothing to what comes then', () => {
  assert.equal(stepsOf([53, 53, ...times(12, 9)]), 3);
});

test('a single notch owes nothing to a movement that comes later', () => {
  const wheel = new WheelSteps();
  assert.equal(stepsOf([53], { wheel }), 1);
  assert.equal(stepsOf(times(10, 10), { wheel, from: 5000 }), 1);
});

// A Mac's slowest notch, of which it makes more where the wheel is turned faster.
const MAC_NOTCH_PX = 4.000244140625;

test('a notch of a wheel on a Mac is a step, however slowly or fast it is turned', () => {
  assert.equal(stepsOf(times(5, MAC_NOTCH_PX), { every: 400 }), 5);
  assert.equal(stepsOf(times(5, -MAC_NOTCH_PX), { every: 400 }), -5);
  assert.equal(stepsOf([1, 2, 3, 7, 12, 30].map((count) => count * MAC_NOTCH_PX)), 6);
});

test('a touchpad is none, though it may move by four pixels', () => {
  assert.equal(stepsOf(times(25, 4)), 1);
});

test("fingers are none either, though they may move by as much as a Mac's notch", () => {
  assert.equal(stepsOf(times(5, MAC_NOTCH_PX), { isSmooth: true }), 0);
});

test('wheel and touchpad of one computer do not confuse each other', () => {
  const wheel = new WheelSteps();
  assert.equal(stepsOf(times(5, 66.66), { wheel }), 5);
  assert.equal(stepsOf(SWIPE, { wheel, from: 5000 }), Math.floor(SUM / 100));
  assert.equal(stepsOf(times(5, 66.66), { wheel, from: 9000 }), 5);
});

test('two fingers move smoothly however fast they are', () => {
  assert.equal(stepsOf([30, 30, 30, 30], { isSmooth: true }), 1);
});

test('however far a wheel seems to be turned, it turns on', () => {
  for (const deltaMode of [0, 1, 2]) {
    const wheel = new WheelSteps();
    for (const delta of [1e9, Number.POSITIVE_INFINITY, Number.MAX_VALUE]) {
      assert.ok(Number.isSafeInteger(stepsOf([delta, -delta], { wheel, deltaMode })), `${delta}`);
    }
    assert.equal(stepsOf([-300], { wheel, deltaMode, from: 5000 }) < 0, true);
  }
});

// --- At the picture ---

const { Capture } = await import(new URL('capture.js', BASE));

test('a turn has no more steps than the device takes', (t) => {
  const stage = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { activeElement: stage, hasFocus: () => true });
  globalThis.addEventListener = () => {};
  globalThis.devicePixelRatio = 1;
  Object.defineProperty(globalThis, 'navigator', { value: { platform: 'Win32' }, configurable: true });
  t.after(() => {
    for (const name of ['document', 'addEventListener', 'devicePixelRatio']) delete globalThis[name];
  });
  const said = [];
  const socket = { say: (type, fields) => said.push([type, fields.wheel, fields.pan]) };
  const capture = new Capture({ stage, screen: {}, socket });
  capture.enabled = true;
  for (const [deltaX, deltaY] of [
    [0, 1e9],
    [Number.NEGATIVE_INFINITY, 0],
  ]) {
    stage.dispatchEvent(Object.assign(new Event('wheel', { cancelable: true }), { deltaX, deltaY }));
  }
  assert.deepEqual(said, [
    ['wheel', -4096, 0],
    ['wheel', 0, -4096],
  ]);
});
