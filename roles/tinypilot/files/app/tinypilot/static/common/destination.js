// SPDX-License-Identifier: MIT
// Where somebody wanted to go who has to log in first: `next` in the address of the login. Anybody can write such an
// address, so it leads to a page of this device or nowhere.

export function destination({ search, origin } = location) {
  const next = new URLSearchParams(search).get('next');
  if (!next?.startsWith('/')) return '/';
  try {
    // As the browser reads it: "//host" and "/\\host" are other hosts, and tabs and line breaks count for nothing.
    const url = new URL(next, origin);
    // As the device reads it.
    const path = decodeURIComponent(url.pathname).replace(/\/+$/, '');
    const isOurs = url.origin === origin && !url.username && !url.password;
    // Whole: the path alone, such as //host, could be read as another host again.
    if (isOurs && !['/login', '/setup'].includes(path)) return url.href;
  } catch {
    // Then it is no address.
  }
  return '/';
}

// The login that leads back to this page.
export function loginPage({ pathname, search } = location) {
  return `/login?${new URLSearchParams({ next: pathname + search })}`;
}
