// SPDX-License-Identifier: MIT
// JPEGs, decoded by the browser in the order in which they came.

export class JpegDecoder {
  #onPicture;
  #last = Promise.resolve();

  // onPicture(id, picture): once for each decode(); picture: what drawImage() takes, with width, height and close();
  // null if there is none in the data
  constructor({ onPicture }) {
    this.#onPicture = onPicture;
  }

  decode(id, data) {
    const picture = createImageBitmap(new Blob([data], { type: 'image/jpeg' })).catch(() => null);
    this.#last = this.#last.then(async () => this.#onPicture(id, await picture));
  }

  close() {
    this.#onPicture = (_id, picture) => picture?.close();
  }
}
