// SPDX-License-Identifier: MIT
// Stands in each page itself, because a browser whose network changes gives up all files that are underway at once.
// When a script or a style sheet can't be loaded, nothing else of the page could say so or try again. It tries ever more
// slowly, across reloads too, until everything is there, and reloads only what can be had: a reload in vain would end on
// an error page of the browser.

const RETRY_MS = { first: 2000, cap: 30000, timeout: 5000 };
let reloading = false;
let pause = rememberedPause();

// Site data may be blocked, or hold anything.
function rememberedPause() {
  try {
    const stored = Number(sessionStorage.getItem('reload-pause-ms'));
    return stored > 0 ? Math.min(stored, RETRY_MS.cap) : RETRY_MS.first;
  } catch {
    return RETRY_MS.first;
  }
}

function rememberPause() {
  try {
    sessionStorage.setItem('reload-pause-ms', pause);
  } catch {
    // Then it grows on this page alone.
  }
}

function forgetPause() {
  try {
    sessionStorage.removeItem('reload-pause-ms');
  } catch {
    // What can't be read was not remembered.
  }
}

async function reload() {
  if (reloading) return;
  reloading = true;
  for (let there = false; !there; ) {
    const wait = pause;
    pause = Math.min(2 * wait, RETRY_MS.cap);
    rememberPause();
    await new Promise((resolve) => setTimeout(resolve, wait));
    const request = { cache: 'no-store', signal: AbortSignal.timeout(RETRY_MS.timeout) };
    there = await fetch(location.href, request).then(
      (response) => response.ok,
      () => false,
    );
  }
  location.reload();
}

function isPartOfThePage(target) {
  return target instanceof HTMLScriptElement || (target instanceof HTMLLinkElement && target.rel === 'stylesheet');
}

addEventListener(
  'error',
  (event) => {
    // Errors of elements don't bubble, but they are captured. Those of a script's run have no element.
    if (isPartOfThePage(event.target)) reload();
  },
  true,
);
addEventListener('load', () => {
  if (!reloading) forgetPause();
});
