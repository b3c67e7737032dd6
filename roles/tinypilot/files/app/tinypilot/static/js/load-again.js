// SPDX-License-Identifier: MIT
// A classic script ahead of the others: when one of them can't be loaded (the device restarts just now, the
// network changes), nothing else of the page could say so or try again.

const RELOAD_PAUSE_MS = 2000;

addEventListener(
  'error',
  (event) => {
    // Errors of elements don't bubble, but they are captured. Those of a script's run have no element.
    if (event.target instanceof HTMLScriptElement) {
      setTimeout(() => location.reload(), RELOAD_PAUSE_MS);
    }
  },
  true,
);
