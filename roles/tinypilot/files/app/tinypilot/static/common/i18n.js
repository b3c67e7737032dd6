// SPDX-License-Identifier: MIT
// The words of the page in its language. English is in the code; for another language the web app puts
// its catalogue, from the English text to the translation, into the page (see i18n.py).

export const language = known(globalThis.document?.documentElement.lang);
const added = new Set();
const words = JSON.parse(globalThis.document?.getElementById('words')?.textContent || '{}');

// Translators of browsers write there what they like, which numbers and dates may not know.
function known(tag) {
  try {
    return Intl.getCanonicalLocales(tag)[0] ?? 'en';
  } catch {
    return 'en';
  }
}

// Of what is loaded when it is needed: its words need not be in each page.
export async function addWords(url) {
  if (language === 'en' || added.has(url)) return;
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) return;
  Object.assign(words, await response.json());
  added.add(url);
}

// The text in the page's language, its {names} filled in with the values.
export function t(text, values = {}) {
  const translated = Object.hasOwn(words, text) ? words[text] : text;
  return translated.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
