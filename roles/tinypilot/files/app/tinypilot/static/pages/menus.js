// SPDX-License-Identifier: MIT
// The bar's menus (details elements) close as menus do: by Escape, by a click elsewhere, and when the focus
// goes elsewhere.

export function dismissMenus(menus) {
  for (const menu of menus) {
    menu.addEventListener('focusout', ({ relatedTarget }) => {
      if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
    });
    menu.addEventListener('keydown', (event) => {
      // Escape that is being recorded as a combination was used up.
      if (event.key !== 'Escape' || event.defaultPrevented || !menu.open) return;
      menu.open = false;
      menu.querySelector('summary').focus();
    });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!menu.contains(target)) menu.open = false;
    });
  }
}
