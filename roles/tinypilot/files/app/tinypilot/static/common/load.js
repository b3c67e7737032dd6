// SPDX-License-Identifier: MIT
// import(), and again where the module, or one that it imports, does not arrive: browsers give up what they are loading
// when a network comes or goes. Some (Firefox) also remember what failed by its address, and ask no second time. So each
// try has addresses of its own: nginx leaves out `again-N/`.

const PAUSES_MS = [300, 1000, 3000];
const FOLDER = /\/static\/(?:again-(\d+)\/)?/;

const failures = new Map(); // by address

// url: of a file below /static/, or where that was loaded from
export async function load(url, importModule = (address) => import(address)) {
  const { href } = new URL(url);
  for (let tries = 0; ; tries += 1) {
    const failed = failures.get(href) ?? 0;
    try {
      return await importModule(failed ? href.replace(FOLDER, (_, from = 0) => folder(Number(from) + failed)) : href);
    } catch (error) {
      failures.set(href, failed + 1);
      if (tries === PAUSES_MS.length) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[tries]));
    }
  }
}

const folder = (number) => `/static/again-${number}/`;
