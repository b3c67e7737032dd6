// SPDX-License-Identifier: MIT
// The choice of the page's language. The web app reads it from the cookie.

const YEAR_SECONDS = 365 * 24 * 3600;

for (const button of document.querySelectorAll('[data-language]')) {
  button.disabled = false;
  button.addEventListener('click', () => {
    const { language } = button.dataset;
    // biome-ignore lint/suspicious/noDocumentCookie: not all browsers have the Cookie Store API
    document.cookie = `__Host-tinypilot-language=${language}; Path=/; Max-Age=${YEAR_SECONDS}; Secure; SameSite=Lax`;
    location.reload();
  });
}
