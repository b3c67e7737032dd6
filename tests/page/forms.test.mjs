// SPDX-License-Identifier: MIT
// Forms, and what they ask the device: login, set-up, the choice of the language; the bar that says the state.
import assert from 'node:assert/strict';
import { beforeEach, describe as group, test } from 'node:test';
import { FakeElement, FakeForm, settle } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);
const { ApiError, callApi, checkRepeated, fetchSession, onSubmit } = await import(new URL('common/api.js', BASE));
const { StatusBar } = await import(new URL('pages/status-bar.js', BASE));

let asked = [];
let answers = {};
let loads = 0;

const answer = (body, status = 200) => ({ ok: status < 400, status, json: async () => body });

beforeEach(() => {
  asked = [];
  answers = {};
  globalThis.fetch = async (path, request) => {
    asked.push([request.method, path, request]);
    const said = answers[`${request.method} ${path}`] ?? answer({});
    if (said instanceof Error) throw said;
    return said;
  };
});

// A module that works as soon as it is loaded, in a new page.
function load(module) {
  loads += 1;
  return import(new URL(`${module}?load=${loads}`, BASE));
}

group('a request to the device', () => {
  test('has JSON, the token of the session, and answers JSON', async () => {
    answers['GET /api/session'] = answer({ user: 'ada', csrf: 'token of ada' });
    assert.deepEqual(await fetchSession(), { user: 'ada', csrf: 'token of ada' });
    answers['POST /api/users'] = answer({ done: true });
    assert.deepEqual(await callApi('POST', '/api/users', { name: 'bob' }), { done: true });
    const [, , { headers, body, cache }] = asked.at(-1);
    assert.deepEqual(headers, { 'X-CSRF-Token': 'token of ada', 'Content-Type': 'application/json' });
    assert.equal(body, '{"name":"bob"}');
    assert.equal(cache, 'no-store');
  });

  test('without a body says so, and without a session has no token', async () => {
    answers['GET /api/session'] = answer({ user: null });
    await fetchSession();
    await callApi('DELETE', '/api/users/bob');
    const [, , request] = asked.at(-1);
    assert.deepEqual(request.headers, { 'X-CSRF-Token': '' });
    assert.ok(!('body' in request));
  });

  test('that is refused says why', async () => {
    answers['POST /api/login'] = answer({ error: 'The code is wrong.', code_needed: true }, 400);
    const refusal = await callApi('POST', '/api/login', {}).catch((error) => error);
    assert.ok(refusal instanceof ApiError);
    assert.equal(refusal.message, 'The code is wrong.');
    assert.equal(refusal.answer.code_needed, true);
    assert.equal(refusal.status, 400);
  });

  test('to a device that is away or starting says that', async () => {
    answers['GET /api/users'] = new TypeError('no network');
    await assert.rejects(callApi('GET', '/api/users'), { message: /does not answer/ });
    answers['GET /api/users'] = { ok: false, status: 502, json: async () => JSON.parse('<html>') };
    await assert.rejects(callApi('GET', '/api/users'), { message: /not ready yet/ });
  });
});

group('a form', () => {
  test('can be sent once the page is ready, and sends what was typed', async () => {
    const form = new FakeForm({ typed: { name: 'ada', password: 'secret' } });
    const sent = [];
    assert.equal(form.button.disabled, true);
    onSubmit(form, async (typed) => sent.push(typed));
    assert.equal(form.button.disabled, false);
    assert.equal(form.submit(), false);
    await settle();
    assert.deepEqual(sent, [{ name: 'ada', password: 'secret' }]);
  });

  test('is sent once, and forgets what was wrong before', async () => {
    const form = new FakeForm();
    let done = null;
    const sent = new Promise((resolve) => {
      done = resolve;
    });
    onSubmit(form, () => sent);
    form.submit();
    assert.equal(form.button.disabled, true);
    assert.equal(form.error.textContent, '');
    done();
    await settle();
    assert.equal(form.button.disabled, false);
  });

  test('says what is refused, and can be sent again', async () => {
    const form = new FakeForm();
    onSubmit(form, async () => {
      throw new ApiError('The name is taken.');
    });
    form.submit();
    await settle();
    assert.equal(form.error.textContent, 'The name is taken.');
    assert.equal(form.button.disabled, false);
  });

  test('hides no mistake of the page itself', async (t) => {
    const form = new FakeForm();
    let listener = null;
    t.mock.method(form, 'addEventListener', (_type, listen) => {
      listener = listen;
    });
    onSubmit(form, async () => {
      throw new TypeError('a slip');
    });
    await assert.rejects(listener({ preventDefault() {} }), { message: 'a slip' });
    assert.equal(form.error.textContent, '');
  });

  test('has a password twice the same', () => {
    checkRepeated('one', 'one');
    assert.throws(() => checkRepeated('one', 'two'), { constructor: ApiError, message: /differ/ });
  });
});

// The page of a login or a set-up.
async function open(module, form, { search = '', main = new FakeElement(), cookieEnabled = true } = {}) {
  const page = { went: [], code: new FakeElement({ hidden: true }) };
  globalThis.document = {
    getElementById: (id) => (id === 'code-field' ? page.code : form),
    querySelector: () => main,
  };
  Object.defineProperty(globalThis, 'navigator', { value: { cookieEnabled }, configurable: true });
  globalThis.location = { search, origin: 'https://kvm.example', replace: (path) => page.went.push(path) };
  await load(module);
  await settle();
  return page;
}

group('the login', () => {
  const typed = { name: 'ada', password: 'secret', code: '' };

  test('leads on', async () => {
    const form = new FakeForm({ typed });
    const page = await open('login/login.js', form);
    assert.deepEqual(page.went, []);
    form.submit();
    await settle();
    const [method, path, { body }] = asked.at(-2);
    assert.deepEqual([method, path, JSON.parse(body)], ['POST', '/api/login', typed]);
    assert.deepEqual(page.went, ['/']);
  });

  test('leads to where the person wanted to go, also with a code of an app', async () => {
    const form = new FakeForm({ typed });
    const page = await open('login/login.js', form, { search: '?next=%2Fsettings' });
    answers['POST /api/login'] = answer({ error: 'Type the code.', code_needed: true }, 401);
    form.submit();
    await settle();
    assert.deepEqual(page.went, []);
    answers['POST /api/login'] = answer({});
    form.submit();
    await settle();
    assert.deepEqual(page.went, ['https://kvm.example/settings']);
  });

  test('leads to no other site', async () => {
    answers['GET /api/session'] = answer({ user: 'ada' });
    const page = await open('login/login.js', new FakeForm(), { search: '?next=//evil.example' });
    assert.deepEqual(page.went, ['/']);
  });

  test('says that the browser keeps no cookie, instead of asking for ever', async () => {
    const form = new FakeForm({ typed });
    const page = await open('login/login.js', form);
    answers['GET /api/session'] = answer({ user: null });
    form.submit();
    await settle();
    assert.match(form.error.textContent, /blocks the cookies/);
    assert.deepEqual(page.went, []);
  });

  test('says so at once where the browser does', async () => {
    const form = new FakeForm();
    await open('login/login.js', form, { cookieEnabled: false });
    assert.match(form.error.textContent, /blocks the cookies/);
  });

  test('is not shown to somebody from another site before it is known who that is', async () => {
    answers['GET /api/session'] = answer({ user: 'ada' });
    const main = new FakeElement({ hidden: true });
    await open('login/login.js', new FakeForm(), { main });
    assert.equal(main.hidden, true);
    for (const said of [answer({ user: null }), new TypeError('no network')]) {
      answers['GET /api/session'] = said;
      const form = new FakeForm();
      form.elements.name = new FakeElement();
      main.hidden = true;
      await open('login/login.js', form, { main });
      assert.equal(main.hidden, false);
      assert.deepEqual(form.elements.name.did, ['focus']);
    }
  });

  test('is left at once by whoever is in already', async () => {
    answers['GET /api/session'] = answer({ user: 'ada' });
    assert.deepEqual((await open('login/login.js', new FakeForm())).went, ['/']);
  });

  test('stays when nobody can be asked', async () => {
    answers['GET /api/session'] = new TypeError('no network');
    assert.deepEqual((await open('login/login.js', new FakeForm())).went, []);
  });

  test('asks for a code when one is needed', async () => {
    const form = new FakeForm({ typed });
    const page = await open('login/login.js', form);
    answers['POST /api/login'] = answer({ error: 'Type the code.', code_needed: true }, 401);
    form.submit();
    await settle();
    assert.equal(page.code.hidden, false);
    assert.deepEqual(form.elements.code.did, ['focus']);
    assert.deepEqual(form.elements.password.did, []);
    assert.equal(form.error.textContent, 'Type the code.');
    assert.deepEqual(page.went, []);
  });

  for (const refused of [answer({ error: 'Wrong.' }, 401), new TypeError('no network')]) {
    test(`has the password typed again after ${refused.status ? 'a wrong one' : 'no answer'}`, async () => {
      const form = new FakeForm({ typed });
      const page = await open('login/login.js', form);
      answers['POST /api/login'] = refused;
      form.submit();
      await settle();
      assert.deepEqual(form.elements.password.did, ['select']);
      assert.equal(page.code.hidden, true);
      assert.deepEqual(page.went, []);
    });
  }
});

group('the set-up', () => {
  const typed = { code: 'k7', name: 'ada', password: 'secret', repeated: 'secret' };

  test('sends the password once, and leads on', async () => {
    const form = new FakeForm({ typed });
    const page = await open('login/setup.js', form);
    form.submit();
    await settle();
    const [method, path, { body }] = asked.at(-2);
    assert.deepEqual([method, path], ['POST', '/api/setup']);
    assert.deepEqual(JSON.parse(body), { code: 'k7', name: 'ada', password: 'secret' });
    assert.deepEqual(page.went, ['/']);
  });

  test('leads to where the person wanted to go', async () => {
    const form = new FakeForm({ typed });
    const page = await open('login/setup.js', form, { search: '?next=%2Faccount' });
    form.submit();
    await settle();
    assert.deepEqual(page.went, ['https://kvm.example/account']);
  });

  test('says that the browser keeps no cookie', async () => {
    const form = new FakeForm({ typed });
    const page = await open('login/setup.js', form);
    answers['GET /api/session'] = answer({ user: null });
    form.submit();
    await settle();
    assert.match(form.error.textContent, /blocks the cookies/);
    assert.deepEqual(page.went, []);
  });

  test('sends nothing with two passwords', async () => {
    const form = new FakeForm({ typed: { ...typed, repeated: 'other' } });
    const page = await open('login/setup.js', form);
    form.submit();
    await settle();
    assert.deepEqual(asked, []);
    assert.deepEqual(page.went, []);
    assert.match(form.error.textContent, /differ/);
  });
});

test('a language that was chosen is kept for a year', async () => {
  const german = new FakeElement({ dataset: { language: 'de' } });
  let reloads = 0;
  globalThis.document = { querySelectorAll: () => [german], cookie: '' };
  globalThis.location = { reload: () => reloads++ };
  await load('login/language.js');
  assert.equal(document.cookie, '');
  german.click();
  assert.equal(document.cookie, '__Host-tinypilot-language=de; Path=/; Max-Age=31536000; Secure; SameSite=Lax');
  assert.equal(reloads, 1);
});

test('a page in another language has its words from the page, and English for the rest', async () => {
  const words = '{"Hello {name}": "Hallo {name}"}';
  globalThis.document = { documentElement: { lang: 'de' }, getElementById: () => ({ textContent: words }) };
  const { language, t } = await load('common/i18n.js');
  assert.equal(language, 'de');
  assert.equal(t('Hello {name}', { name: 'Ada' }), 'Hallo Ada');
  assert.equal(t('Bye {name}'), 'Bye {name}');
  assert.equal(t('toString'), 'toString');
});

for (const lang of ['', 'zh_CN', 'auto detect', 'x', '-', undefined]) {
  test(`a page whose language a translator calls ${JSON.stringify(lang)} has its numbers in English`, async () => {
    globalThis.document = { documentElement: { lang }, getElementById: () => null };
    const { language } = await load('common/i18n.js');
    assert.equal(new Intl.NumberFormat(language).format(1.5), '1.5');
  });
}

group('the bar', () => {
  function makeBar() {
    const parts = Object.fromEntries(
      ['root', 'title', 'noticeTitle', 'noticeDetail', 'picture'].map((name) => [name, new FakeElement()]),
    );
    return { parts, bar: new StatusBar(parts) };
  }

  test('says the state, and how the picture is', () => {
    const { parts, bar } = makeBar();
    bar.show({ state: 'waiting', title: 'Waiting', detail: 'for a picture' }, '');
    assert.equal(parts.root.dataset.state, 'waiting');
    assert.equal(parts.title.textContent, 'Waiting');
    assert.equal(parts.noticeTitle.textContent, 'Waiting');
    assert.equal(parts.noticeDetail.textContent, 'for a picture');
    bar.show({ state: 'live', title: 'Live', detail: '' }, '1280 × 720');
    assert.equal(parts.root.dataset.state, 'live');
    assert.equal(parts.title.textContent, 'Live');
    assert.equal(parts.picture.textContent, '1280 × 720');
    // It fades out.
    assert.equal(parts.noticeTitle.textContent, 'Waiting');
  });

  test('says each thing once', () => {
    const { parts, bar } = makeBar();
    const said = { state: 'waiting', title: 'Waiting', detail: '' };
    bar.show(said, 'a');
    parts.title.textContent = parts.picture.textContent = 'untouched';
    parts.root.dataset.state = 'untouched';
    bar.show(said, 'a');
    assert.deepEqual(
      [parts.title.textContent, parts.picture.textContent, parts.root.dataset.state],
      ['untouched', 'untouched', 'untouched'],
    );
    bar.show(said, 'b');
    assert.deepEqual([parts.title.textContent, parts.picture.textContent], ['untouched', 'b']);
  });
});
