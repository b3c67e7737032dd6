// SPDX-License-Identifier: MIT
// What a test of the device has measured, as rows of the page.

import { t } from '../common/i18n.js';

const WORDS = { good: t('Good'), poor: t('Could be better'), bad: t('Not good'), unknown: t('Nothing to measure') };

function paragraph(className, text) {
  return Object.assign(document.createElement('p'), { className, textContent: text });
}

// parts: of /api/device-test.
export function describeParts(parts) {
  return parts.map(({ title, state, figure, words }) => {
    const row = document.createElement('li');
    row.dataset.state = state;
    row.append(paragraph('what', title), paragraph('state', WORDS[state]), paragraph('figure', figure));
    if (words) row.append(paragraph('words quiet', words));
    return row;
  });
}

// One line for who does not see the rows.
export function summarize(parts) {
  const count = parts.filter(({ state }) => state === 'poor' || state === 'bad').length;
  if (count === 0) return t('Tested. Nothing is wrong.');
  return t('Tested. To be looked at: {count}.', { count });
}
