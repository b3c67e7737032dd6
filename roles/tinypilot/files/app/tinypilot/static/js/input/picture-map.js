// SPDX-License-Identifier: MIT
// From a place on the page to a place on the attached computer's screen. Free of the browser.

const PLACES = 32768; // of an absolute mouse, in each direction

// The part of the box that the picture fills, with bars at two sides.
export function pictureIn(box, width, height) {
  const scale = Math.min(box.width / width, box.height / height);
  const shown = { width: width * scale, height: height * scale };
  return {
    left: box.left + (box.width - shown.width) / 2,
    top: box.top + (box.height - shown.height) / 2,
    scale,
    ...shown,
  };
}

// {x, y} as the device wants them, of the nearest pixel of the picture; null without a picture.
export function placeOf(point, box, width, height) {
  if (!(width > 0 && height > 0 && box.width > 0 && box.height > 0)) return null;
  const picture = pictureIn(box, width, height);
  return {
    x: place(point.x - picture.left, picture.scale, width),
    y: place(point.y - picture.top, picture.scale, height),
  };
}

// The middle of the pixel: computers round in different ways.
function place(offset, scale, pixels) {
  const pixel = Math.min(pixels - 1, Math.max(0, Math.floor(offset / scale)));
  return Math.floor(((pixel + 0.5) * PLACES) / pixels);
}
