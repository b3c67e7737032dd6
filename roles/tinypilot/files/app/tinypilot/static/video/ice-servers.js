// SPDX-License-Identifier: MIT
// STUN and TURN servers, asked for before each connection because their credentials are short-lived. Where the
// device can't say, those of last time are tried, or none: that must never keep a picture from coming.

const PATIENCE_MS = 1000;

export class IceServers {
  #url;
  known;

  constructor(url, known = null) {
    this.#url = url;
    this.known = known ?? [];
  }

  async refresh({ fetch = globalThis.fetch } = {}) {
    try {
      const response = await fetch(this.#url, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
      if (response.ok) this.known = (await response.json()).ice_servers;
    } catch {
      // Those of last time, then.
    }
  }
}
