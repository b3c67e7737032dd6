// SPDX-License-Identifier: MIT
// Where the login leads: to a page of this device, whoever wrote the address of the login.
import assert from 'node:assert/strict';
import { test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);
const { destination, loginPage } = await import(new URL('common/destination.js', BASE));

const ORIGIN = 'https://kvm.example:8443';
const leadsTo = (next) => destination({ origin: ORIGIN, search: `?${new URLSearchParams({ next })}` });

for (const page of ['/', '/settings', '/account?a=1&b=%2F', '/api/openapi.json', '/settings#log', '/a/../account']) {
  test(`the login leads on to ${page}`, () => {
    assert.equal(leadsTo(page), new URL(page, ORIGIN).href);
  });
}

const ELSEWHERE = [
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '\t//evil.example',
  ' //evil.example',
  'https:evil.example',
  'https://evil.example',
  'https:/evil.example',
  'HTTPS://evil.example',
  'http://kvm.example:8443/settings',
  'https://kvm.example:8443@evil.example/',
  'https://kvm.example/settings', // another port is another device
  '//kvm.example/settings',
  'javascript:alert(1)',
  'java\nscript:alert(1)',
  'data:text/html,x',
  'blob:https://kvm.example:8443/x',
  '%2F%2Fevil.example',
  'evil.example',
  '@evil.example',
  '//[',
  '/\\/evil.example',
  '/login',
  '/login?next=/login',
  '/setup',
  '/%6cogin',
  '/%6Cogin/?next=/login',
  '/login/',
  '/setup/',
  '/setup//',
  '/%73etup',
  '/a/../login/',
  '/%zz',
  '//user:pw@kvm.example:8443/settings',
  '//user@kvm.example:8443/settings',
  '//:pw@kvm.example:8443/settings',
  '',
];
for (const next of ELSEWHERE) {
  test(`the login does not lead to ${JSON.stringify(next)}`, () => {
    assert.equal(leadsTo(next), '/');
  });
}

// Paths of this device, odd as they are: the origin is in front of them, so none is read as a host.
for (const next of [
  '/.//evil.example',
  '/%2Fevil.example',
  '/%5Cevil.example',
  '/%09/evil.example',
  '/@evil.example',
]) {
  test(`${next} is a page of this device`, () => {
    assert.equal(new URL(leadsTo(next), ORIGIN).origin, ORIGIN);
    assert.ok(leadsTo(next).startsWith(`${ORIGIN}/`));
  });
}

test('without a wish the login leads to the picture', () => {
  for (const search of ['', '?', '?next', '?other=/settings'])
    assert.equal(destination({ origin: ORIGIN, search }), '/');
});

test('of two wishes the first counts, as for every reader of addresses', () => {
  assert.equal(destination({ origin: ORIGIN, search: '?next=//evil.example&next=/settings' }), '/');
});

test('a page that needs a login is what the login leads back to', () => {
  for (const [pathname, search] of [
    ['/settings', ''],
    ['/account', '?a=1&next=%2F%2Fevil.example'],
  ]) {
    const [path, query] = loginPage({ pathname, search }).split('?');
    assert.equal(path, '/login');
    assert.equal(destination({ origin: ORIGIN, search: `?${query}` }), `${ORIGIN}${pathname}${search}`);
  }
});
