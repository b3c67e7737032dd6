// SPDX-License-Identifier: MIT
// After an upgrade the device has another page than the one that is open, whose scripts may be too old for it. The HID
// service, which each page comes back to, says which.

const LOOK_MS = 1000;
// A web app that starts takes some seconds. The next upgrade, or the next loss of the network, asks again.
const LOOKS = 60;
const ANSWER_MS = 5000;

// mayReload: nothing would be lost; offer: leaves it to the person; serves, pause, reload: of a test
export async function followUpgrade(
  version,
  { mayReload, offer, serves = isServed, pause = wait, reload = () => location.reload() },
) {
  // The web app may still be the old one: to load its page would lead here again.
  for (let look = 1; !(await serves(version)); look += 1) {
    if (look === LOOKS) return;
    await pause(LOOK_MS);
  }
  if (mayReload()) reload();
  else offer();
}

async function isServed(version) {
  try {
    const page = await fetch('/', { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_MS) });
    return page.ok && (await page.text()).includes(`data-version="${version}"`);
  } catch {
    return false;
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
