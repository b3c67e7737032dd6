// SPDX-License-Identifier: MIT
// Black bars inside the picture: where they are seen, where they are not, and where the mouse points then.
import assert from 'node:assert/strict';
import { describe as group, test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { BarFinder, barsAround, darkEnds, shapeWithin } = await import(new URL('picture-bars.js', BASE));
const { positionOf } = await import(new URL('picture-map.js', BASE));

const even = (x, y) => ({ left: x, right: x, top: y, bottom: y });

group('a shape in the picture', () => {
  for (const [shape, width, height, bars] of [
    ['16:10', 1920, 1080, { x: 96, y: 0 }],
    ['4:3', 1920, 1080, { x: 240, y: 0 }],
    ['5:4', 1920, 1080, { x: 285, y: 0 }],
    ['3:2', 1920, 1080, { x: 150, y: 0 }],
    ['64:27', 1920, 1080, { x: 0, y: 135 }],
    ['32:9', 1280, 720, { x: 0, y: 180 }],
    ['16:9', 1920, 1200, { x: 0, y: 60 }],
    ['16:9', 1024, 768, { x: 0, y: 96 }],
    ['16:10', 1280, 720, { x: 64, y: 0 }],
  ]) {
    test(`of ${shape} in ${width} x ${height} is seen by its bars`, () => {
      assert.deepEqual(barsAround(shape, width, height), bars);
      // Docks round as they like.
      for (const off of [-1, 0, 1]) {
        const edges = even(Math.max(0, bars.x + (bars.x && off)), Math.max(0, bars.y + (bars.y && off)));
        assert.equal(shapeWithin(edges, width, height), shape);
      }
    });
  }

  for (const [what, edges] of [
    ['nothing is dark', even(0, 0)],
    ['all is', even(1920, 1080)],
    ['one side is, as beside a text on black', { left: 0, right: 96, top: 0, bottom: 0 }],
    ['the sides differ', { left: 96, right: 110, top: 0, bottom: 0 }],
    ['a logo is in the middle of the dark', even(240, 100)],
    ['the shape is that of no display', even(400, 0)],
    ['a film is shown (1.85:1)', even(0, 21)],
    ['the edge is thin', even(3, 0)],
  ]) {
    test(`is not seen where ${what}`, () => assert.equal(shapeWithin(edges, 1920, 1080), null));
  }
});

group('bars are believed', () => {
  const finder = (...looks) => {
    const found = new BarFinder();
    for (const edges of looks) found.note(edges, 1920, 1080);
    return found;
  };
  const bars = even(96, 0);

  test('when three looks in a row agree, which come soon after each other', () => {
    assert.equal(finder(bars, bars).shape, null);
    assert.equal(finder(bars, bars).isUndecided, true);
    const sure = finder(bars, bars, bars);
    assert.deepEqual([sure.shape, sure.isUndecided], ['16:10', false]);
    // A picture of another size has not been looked at yet.
    assert.deepEqual([sure.shapeAt(1920, 1080), sure.shapeAt(1024, 768)], ['16:10', null]);
    assert.equal(finder(bars, bars, even(0, 0), bars).shape, null);
    assert.equal(finder(bars, bars, even(240, 0), even(240, 0)).shape, null);
  });

  test('through a dark screen, and a window that is dark at its edge', () => {
    assert.equal(finder(bars, bars, bars, even(1920, 1080)).shape, '16:10');
    assert.equal(finder(bars, bars, bars, { left: 700, right: 96, top: 0, bottom: 0 }).shape, '16:10');
  });

  test('until something is shown where they were', () => {
    assert.equal(finder(bars, bars, bars, even(0, 0)).shape, null);
    assert.equal(finder(bars, bars, bars, { left: 96, right: 40, top: 0, bottom: 0 }).shape, null);
  });

  test('until the picture has another size', () => {
    const found = finder(bars, bars, bars);
    found.note(even(64, 0), 1280, 720);
    assert.equal(found.shape, null);
  });

  test('until there are others', () => {
    const others = even(240, 0);
    assert.equal(finder(bars, bars, bars, others, others).shape, '16:10');
    assert.equal(finder(bars, bars, bars, others, others, others).shape, '4:3');
  });
});

group('what is dark', () => {
  // 8 by 4 pixels; bars of this level at two columns each side, and a screen of 200.
  const image = (level) => {
    const data = new Uint8ClampedArray(8 * 4 * 4).fill(255);
    for (let y = 0; y < 4; y++) {
      for (let x = 0; x < 8; x++) {
        const value = x < 2 || x > 5 ? level : 200;
        data.fill(value, (y * 8 + x) * 4, (y * 8 + x) * 4 + 3);
      }
    }
    return data;
  };

  for (const level of [0, 16, 20]) {
    test(`are bars of ${level}`, () => {
      assert.deepEqual(darkEnds(image(level), 8, 4, true), [2, 2]);
      assert.deepEqual(darkEnds(image(level), 8, 4, false), [0, 0]);
    });
  }

  test('is no dark grey window', () => assert.deepEqual(darkEnds(image(45), 8, 4, true), [0, 0]));

  test('is no column with one bright pixel, of whichever colour', () => {
    for (const channel of [0, 1, 2]) {
      const data = image(0);
      data[(3 * 8 + 1) * 4 + channel] = 200;
      assert.deepEqual(darkEnds(data, 8, 4, true), [1, 2]);
    }
  });

  test('is all of a dark picture, from either end', () => {
    const data = new Uint8ClampedArray(8 * 4 * 4);
    assert.deepEqual(darkEnds(data, 8, 4, true), [8, 8]);
    assert.deepEqual(darkEnds(data, 8, 4, false), [4, 4]);
  });
});

group('the mouse between bars', () => {
  // A screen of 2560 x 1600 in 1080p, shown at two thirds.
  const [width, height, scale] = [1920, 1080, 2 / 3];
  const bars = barsAround('16:10', width, height);

  for (const rotation of [0, 90, 180, 270]) {
    test(`points at the screen, turned by ${rotation} degrees`, () => {
      const across = rotation % 180 ? height : width;
      const down = rotation % 180 ? width : height;
      const box = { left: 10, top: 20, width: across * scale, height: down * scale };
      const view = { rotation, scale: null, scrolled: { left: 0, top: 0 }, bars };
      for (const [x, y] of [
        [0, 0],
        [1280, 800],
        [2559, 1599],
        [100, 1500],
      ]) {
        // Where this pixel of the screen is in the picture, and where that is when it is turned.
        const px = bars.x + ((x + 0.5) / 2560) * (width - 2 * bars.x);
        const py = ((y + 0.5) / 1600) * height;
        const turned = { 0: [px, py], 90: [height - py, px], 180: [width - px, height - py], 270: [py, width - px] };
        const [left, top] = turned[rotation];
        const place = positionOf({ x: 10 + left * scale, y: 20 + top * scale }, box, width, height, view);
        assert.ok(Math.abs((place.x * 2560) / 32768 - x) <= 2, `${x}: ${(place.x * 2560) / 32768}`);
        assert.ok(Math.abs((place.y * 1600) / 32768 - y) <= 2, `${y}: ${(place.y * 1600) / 32768}`);
      }
    });
  }

  test('stays at the edge of the screen over a bar', () => {
    const box = { left: 0, top: 0, width, height };
    const view = { rotation: 0, scale: null, scrolled: { left: 0, top: 0 }, bars };
    assert.ok(positionOf({ x: 5, y: 500 }, box, width, height, view).x < 32);
    assert.ok(positionOf({ x: 1915, y: 500 }, box, width, height, view).x > 32735);
  });
});
