// SPDX-License-Identifier: MIT
// Black bars inside the picture: a dock sends a screen of another shape than its mode, and the mouse points at the
// screen. The bars are found in the picture: dark, equal on two sides, none on the others, and around a shape that
// displays have. Loaded when somebody has the controls.

// Across and down. Some films have the shape of a wide screen: what their player shows in the bars ends that.
const SHAPES = ['16:9', '16:10', '3:2', '4:3', '5:4', '64:27', '43:18', '12:5', '32:9', '9:16'];

// The brightest that a bar is, of 255: docks send black as 16, and the encoder leaves some noise at its edge.
const DARK = 32;
// How far edges may be from where a shape has them.
const TOLERANCE_PIXELS = 3;
const THINNEST_PIXELS = 6;
// A dark window looks like a bar, but not for long, or not in all these places.
const LOOKS = 3;
const LOOK_MS = { steady: 2000, undecided: 400 };
const SAMPLES = 96; // rows for the columns' sake, and columns for the rows'
const PHASES = 4; // each look takes others

export const NO_BARS = Object.freeze({ x: 0, y: 0 });

// Pixels at the left and the right, at the top and the bottom.
export function barsAround(shape, width, height) {
  const [across, down] = shape.split(':').map(Number);
  return width * down > height * across
    ? { x: (width - (height * across) / down) / 2, y: 0 }
    : { x: 0, y: (height - (width * down) / across) / 2 };
}

// edges: how many pixels are dark from each side on.
export function shapeWithin(edges, width, height) {
  let [best, least] = [null, TOLERANCE_PIXELS];
  for (const shape of SHAPES) {
    const { x, y } = barsAround(shape, width, height);
    if (x + y < THINNEST_PIXELS) continue;
    const off = Math.max(
      Math.abs(edges.left - x),
      Math.abs(edges.right - x),
      Math.abs(edges.top - y),
      Math.abs(edges.bottom - y),
    );
    if (off > least) continue;
    [best, least] = [shape, off];
  }
  return best;
}

export class BarFinder {
  shape = null;
  #size = '';
  #candidate = null;
  #looks = 0;

  // Null for a picture of another size than the one that was looked at last, too.
  shapeAt(width, height) {
    return this.#size === `${width}x${height}` ? this.shape : null;
  }

  get isUndecided() {
    return this.#looks > 0;
  }

  note(edges, width, height) {
    if (this.#size !== `${width}x${height}`) {
      this.#size = `${width}x${height}`;
      this.shape = null;
      this.#looks = 0;
    }
    if (this.shape && !areDark(edges, barsAround(this.shape, width, height))) this.shape = null;
    const seen = shapeWithin(edges, width, height);
    if (seen === null || seen === this.shape) {
      this.#looks = 0;
      return;
    }
    this.#looks = seen === this.#candidate ? this.#looks + 1 : 1;
    this.#candidate = seen;
    if (this.#looks < LOOKS) return;
    this.shape = seen;
    this.#looks = 0;
  }
}

function areDark({ left, right, top, bottom }, { x, y }) {
  return Math.min(left, right) >= x - TOLERANCE_PIXELS && Math.min(top, bottom) >= y - TOLERANCE_PIXELS;
}

// From both ends, how many lines of this RGBA image are dark: columns, or rows. All of a dark image from either.
export function darkEnds(data, width, height, areColumns) {
  const [count, length] = areColumns ? [width, height] : [height, width];
  const [step, along] = areColumns ? [4, width * 4] : [width * 4, 4];
  const isDark = (line) => {
    for (let i = 0, at = line * step; i < length; i++, at += along) {
      if (data[at] > DARK || data[at + 1] > DARK || data[at + 2] > DARK) return false;
    }
    return true;
  };
  let [begin, end] = [0, 0];
  while (begin < count && isDark(begin)) begin++;
  while (end < count && isDark(count - 1 - end)) end++;
  return [begin, end];
}

export class BarWatch {
  #connection;
  #finder = new BarFinder();
  #canvas = new OffscreenCanvas(1, 1);
  #context = this.#canvas.getContext('2d', { willReadFrequently: true });
  #looks = 0;

  // connection: whose `shown` has the picture
  constructor(connection) {
    this.#connection = connection;
    this.#look();
  }

  // shape: by hand, or none, or auto
  within(shape, width, height) {
    const taken = shape === 'auto' ? this.#finder.shapeAt(width, height) : shape;
    return taken === null || taken === 'none' ? NO_BARS : barsAround(taken, width, height);
  }

  #look() {
    const { element, width, height } = this.#connection.shown;
    if (width > 0 && !document.hidden && document.documentElement.dataset.control === 'mine') {
      const [left, right] = this.#ends(element, width, height, true);
      const [top, bottom] = this.#ends(element, width, height, false);
      this.#finder.note({ left, right, top, bottom }, width, height);
      this.#looks++;
    }
    setTimeout(() => this.#look(), this.#finder.isUndecided ? LOOK_MS.undecided : LOOK_MS.steady);
  }

  // Whole columns, or rows, of some of the others: a pixel is neither mixed with others nor moved.
  #ends(element, width, height, areColumns) {
    const [across, down] = areColumns ? [width, SAMPLES] : [SAMPLES, height];
    const [left, top] = areColumns
      ? [0, ((this.#looks % PHASES) * height) / SAMPLES / PHASES]
      : [((this.#looks % PHASES) * width) / SAMPLES / PHASES, 0];
    [this.#canvas.width, this.#canvas.height] = [across, down];
    this.#context.imageSmoothingEnabled = false;
    this.#context.drawImage(element, left, top, width - left, height - top, 0, 0, across, down);
    const { data } = this.#context.getImageData(0, 0, across, down);
    return darkEnds(data, across, down, areColumns);
  }
}
