// SPDX-License-Identifier: MIT
// How the picture lies in its place: as large as fits, or pixel for pixel with scrolling; rotated by quarters. Where
// the mouse points is computed from the same numbers (picture-map.js), so they can't differ.

import { load } from '../common/load.js';
import { recall, remember } from '../common/preferences.js';
import { pictureIn } from './picture-map.js';

const REMEMBERED = 'picture-view';
const ZOOM_MAX = 8;
const UNSCROLLED = { scale: null, scrolled: { left: 0, top: 0 } };
const SHAPE = /^(auto|none|[1-9]\d?:[1-9]\d?)$/;

export class View {
  #scroller;
  #connection;
  #rotation = 0;
  #actual = false;
  #zoom = 1; // of fingers, until they pinch it back: not remembered
  #shape = 'auto';
  #bars = null; // picture-bars.js, from when somebody points

  // scroller: the element around the pictures; connection: whose `shown` has the picture's size
  constructor(scroller, connection) {
    this.#scroller = scroller;
    this.#connection = connection;
    const { rotation, actual, shape } = recall(REMEMBERED, (value) => value instanceof Object) ?? {};
    if ([90, 180, 270].includes(rotation)) this.#rotation = rotation;
    this.#actual = actual === true;
    if (typeof shape === 'string' && SHAPE.test(shape)) this.#shape = shape;
    new ResizeObserver(() => this.layout()).observe(scroller);
    this.layout();
  }

  get width() {
    return this.#connection.shown.width;
  }

  get height() {
    return this.#connection.shown.height;
  }

  get box() {
    const { left, top, width, height } = this.#scroller.getBoundingClientRect();
    const { offsetWidth, clientWidth, offsetHeight, clientHeight } = this.#scroller;
    // Without the scrollbars.
    return { left, top, width: width - (offsetWidth - clientWidth), height: height - (offsetHeight - clientHeight) };
  }

  get view() {
    const { scrollLeft: left, scrollTop: top } = this.#scroller;
    return { rotation: this.#rotation, scale: this.#scale, scrolled: { left, top }, bars: this.bars };
  }

  // Null: as large as fits.
  get #scale() {
    if (this.#zoom === 1) return this.#actual ? 1 / devicePixelRatio : null;
    return this.#fitted * this.#zoom;
  }

  get #fitted() {
    return pictureIn(this.box, this.width, this.height, { ...UNSCROLLED, rotation: this.#rotation }).scale;
  }

  // Fingers: what was below `from` is below `to` now, and so much larger.
  pinch({ factor, from, to }) {
    if (!(this.width > 0)) return;
    const before = pictureIn(this.box, this.width, this.height, this.view);
    const zoom = Math.min(ZOOM_MAX, (before.scale * factor) / this.#fitted);
    this.#zoom = zoom > 1 ? zoom : 1;
    if (zoom <= 1) this.#actual = false;
    this.layout();
    const unscrolled = { ...this.view, scrolled: UNSCROLLED.scrolled };
    const after = pictureIn(this.box, this.width, this.height, unscrolled);
    const larger = after.scale / before.scale;
    this.#scroller.scrollLeft = after.left + (from.x - before.left) * larger - to.x;
    this.#scroller.scrollTop = after.top + (from.y - before.top) * larger - to.y;
  }

  // See positionOf().
  get bars() {
    return this.#bars?.within(this.#shape, this.width, this.height) ?? { x: 0, y: 0 };
  }

  // What the bars in the picture are around: auto (they are looked for), none, or a shape such as 16:10.
  get shape() {
    return this.#shape;
  }

  set shape(shape) {
    this.#shape = shape;
    this.#change();
  }

  // Somebody has the mouse.
  async watchBars() {
    const { BarWatch } = await load(new URL('./picture-bars.js', import.meta.url));
    this.#bars ??= new BarWatch(this.#connection);
  }

  get rotation() {
    return this.#rotation;
  }

  get isActual() {
    return this.#actual;
  }

  set isActual(actual) {
    this.#actual = actual;
    this.#zoom = 1;
    this.#change();
  }

  rotateRight() {
    this.#rotation = (this.#rotation + 90) % 360;
    this.#change();
  }

  #change() {
    remember(REMEMBERED, { rotation: this.#rotation, actual: this.#actual, shape: this.#shape });
    this.layout();
  }

  // Upright and fitted is the style sheet's own business. Anything else is placed here, in the scroller's own
  // coordinates: its middle where that of the turned picture is, its size that of the picture upright.
  layout() {
    const { width, height } = this;
    const scrolls = this.#actual || this.#zoom > 1;
    const isPlaced = (scrolls || this.#rotation !== 0) && width > 0;
    this.#scroller.classList.toggle('view-scrolls', scrolls);
    this.#scroller.classList.toggle('view-placed', isPlaced);
    if (!isPlaced) return;
    const { clientWidth, clientHeight, style } = this.#scroller;
    const box = { left: 0, top: 0, width: clientWidth, height: clientHeight };
    const shown = pictureIn(box, width, height, { ...this.view, scrolled: UNSCROLLED.scrolled });
    style.setProperty('--picture-width', `${width * shown.scale}px`);
    style.setProperty('--picture-height', `${height * shown.scale}px`);
    style.setProperty('--picture-left', `${shown.left + (shown.width - width * shown.scale) / 2}px`);
    style.setProperty('--picture-top', `${shown.top + (shown.height - height * shown.scale) / 2}px`);
    style.setProperty('--picture-rotation', `${this.#rotation}deg`);
  }
}
