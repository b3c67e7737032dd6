// SPDX-License-Identifier: MIT
// Puts the state into words on the page. The state's name is also on the root element
// (data-state), where style sheets and tests read it.

export class StatusBar {
  #elements;
  #shown = {};

  constructor(elements) {
    this.#elements = elements; // {root, title, noticeTitle, noticeDetail, picture}
  }

  show({ state, title, detail }, picture) {
    const { root, noticeTitle, noticeDetail } = this.#elements;
    if (this.#shown.state !== state) root.dataset.state = state;
    this.#write('title', title);
    // The notice keeps its words while it fades out over a live picture.
    if (state !== 'live') {
      noticeTitle.textContent = title;
      noticeDetail.textContent = detail;
    }
    this.#write('picture', picture);
    this.#shown = { state, title, picture };
  }

  // Only changes are written: a screen reader is told each state once.
  #write(name, text) {
    if (this.#shown[name] !== text) this.#elements[name].textContent = text;
  }
}
