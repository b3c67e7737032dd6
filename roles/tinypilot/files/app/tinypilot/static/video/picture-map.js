// SPDX-License-Identifier: MIT
// From a place on the page to a place on the attached computer's screen. Free of the browser.

const POSITIONS = 32768; // of an absolute mouse, in each direction

// As large as the box allows, and upright; see view.js.
const FIT = { rotation: 0, scale: null, scrolled: { left: 0, top: 0 }, bars: { x: 0, y: 0 } };

// Where the picture is in the box: at a given scale it may be larger, and scrolled, otherwise it fits and has bars
// at two sides. rotation: in degrees, clockwise.
export function pictureIn(box, width, height, { rotation, scale, scrolled } = FIT) {
  const [across, down] = rotation % 180 ? [height, width] : [width, height];
  scale ??= Math.min(box.width / across, box.height / down);
  const shown = { width: across * scale, height: down * scale };
  return {
    left: box.left + Math.max(0, box.width - shown.width) / 2 - scrolled.left,
    top: box.top + Math.max(0, box.height - shown.height) / 2 - scrolled.top,
    scale,
    ...shown,
  };
}

// {x, y} as the device wants them, of the nearest pixel of the screen in the picture; null without a picture. bars:
// pixels at the left and the right, at the top and the bottom of the picture, that are no part of the screen.
export function positionOf(point, box, width, height, view = FIT) {
  if (!(width > 0 && height > 0 && box.width > 0 && box.height > 0)) return null;
  const picture = pictureIn(box, width, height, view);
  const { x, y } = rotatedBack(
    { x: (point.x - picture.left) / picture.scale, y: (point.y - picture.top) / picture.scale },
    width,
    height,
    view.rotation,
  );
  const { bars = FIT.bars } = view;
  return { x: place(x - bars.x, width - 2 * bars.x), y: place(y - bars.y, height - 2 * bars.y) };
}

// From the picture as it is shown to the picture as it is.
function rotatedBack({ x, y }, width, height, rotation) {
  switch (rotation) {
    case 90:
      return { x: y, y: height - x };
    case 180:
      return { x: width - x, y: height - y };
    case 270:
      return { x: width - y, y: x };
    default:
      return { x, y };
  }
}

// The middle of the pixel: computers round in different ways.
function place(offset, pixels) {
  const pixel = Math.min(pixels - 1, Math.max(0, Math.floor(offset)));
  return Math.floor(((pixel + 0.5) * POSITIONS) / pixels);
}
