// SPDX-License-Identifier: MIT
// The dialog that switches machines on: who sees what, what is asked of the device, and what is said.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe as group, mock, test } from 'node:test';
import { FakeElement, settle } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/', import.meta.url);

class Element extends FakeElement {
  constructor(tag) {
    super({ tag });
  }

  showModal() {
    this.did.push('show');
  }

  append(...children) {
    super.append(...children);
    for (const child of children) if (child instanceof Element) child.parent = this;
  }

  remove() {
    this.parent.children = this.parent.children.filter((child) => child !== this);
  }

  get all() {
    const inside = this.children.filter((child) => child instanceof Element);
    return inside.flatMap((child) => [child, ...child.all]);
  }

  submit() {
    this.dispatchEvent(new Event('submit', { cancelable: true }));
  }
}
globalThis.document = {
  createElement: (tag) => new Element(tag),
  documentElement: { lang: 'en' },
  getElementById: () => null,
};
const { PowerDialog } = await import(new URL('power/power-dialog.js', BASE));

const RACK = { number: 3, name: 'rack', mac: '00:1b:63:84:45:e6', broadcast: '', interface: 'eth1' };
let answers = {};
let asked = [];
let questions = [];

const answer = (body, status = 200) => ({ ok: status < 400, status, json: async () => body });

beforeEach(() => {
  asked = [];
  questions = [];
  answers = {
    'GET /api/wake-on-lan': answer({ machines: [RACK] }),
    'GET /api/power-hooks': answer({ hooks: [] }),
    'GET /api/sequences': answer({ sequences: [], last: null }),
  };
  globalThis.location = {
    pathname: '/',
    search: '',
    replace: (url) => {
      globalThis.location.wentTo = url;
    },
  };
  globalThis.confirm = (question) => questions.push(question) > 0;
  globalThis.fetch = async (path, { method, body }) => {
    asked.push(body ? [method, path, JSON.parse(body)] : [method, path]);
    return answers[`${method} ${path}`] ?? answer({});
  };
});

afterEach(() => mock.timers.reset());

async function open(role, options = {}) {
  answers['GET /api/session'] = answer({ user: 'ada', role, csrf: 'x' });
  const power = new PowerDialog(options);
  await power.open();
  asked = [];
  const { all } = power.element;
  const find = (is) => power.element.all.find(is);
  return {
    dialog: power.element,
    reopen: () => power.open(),
    form: find(({ tag }) => tag === 'form'),
    status: () => find(({ role: of }) => of === 'status').textContent,
    state: () => find(({ className }) => className === 'power-state')?.textContent,
    disabled: () => power.element.all.filter((each) => each.disabled).map((each) => each.ariaLabel),
    error: () => find(({ role: of }) => of === 'alert').textContent,
    inputs: Object.fromEntries(all.filter(({ tag }) => tag === 'input').map((each) => [each.name, each])),
    buttons: () => power.element.all.filter(({ tag }) => tag === 'button').map((each) => each.ariaLabel),
    press: async (label) => {
      find((each) => each.ariaLabel === label).click();
      await settle();
    },
    send: async () => {
      find(({ tag }) => tag === 'form').submit();
      await settle();
    },
    items: () => power.element.all.filter(({ tag }) => tag === 'li').length,
  };
}

group('the dialog', () => {
  test('lets an operator switch a machine on, and edit nothing', async () => {
    const { buttons, dialog, form, press, status } = await open('operator');
    assert.deepEqual(dialog.did, ['show']);
    assert.equal(form.hidden, true);
    assert.deepEqual(buttons().filter(Boolean), ['Switch rack on']);
    answers['POST /api/wake-on-lan/3/wake'] = answer({ sent: ['eth0', 'eth1'] });
    await press('Switch rack on');
    assert.deepEqual(asked, [['POST', '/api/wake-on-lan/3/wake', {}]]);
    assert.equal(status(), 'A magic packet was sent to rack (eth0, eth1).');
  });

  test('says the address that was sent to by the routes', async () => {
    answers['GET /api/wake-on-lan'] = answer({ machines: [{ ...RACK, broadcast: '10.1.2.255', interface: '' }] });
    const { press, status } = await open('operator');
    answers['POST /api/wake-on-lan/3/wake'] = answer({ sent: ['route'] });
    await press('Switch rack on');
    assert.equal(status(), 'A magic packet was sent to rack (10.1.2.255).');
  });

  test('says what the device refuses, and forgets it with the next click', async () => {
    const { error, press } = await open('operator');
    answers['POST /api/wake-on-lan/3/wake'] = answer({ error: 'Nothing was sent.' }, 409);
    await press('Switch rack on');
    assert.equal(error(), 'Nothing was sent.');
    answers['POST /api/wake-on-lan/3/wake'] = answer({ sent: ['eth0'] });
    await press('Switch rack on');
    assert.equal(error(), '');
  });

  test('says that there is no machine yet', async () => {
    answers['GET /api/wake-on-lan'] = answer({ machines: [] });
    const { items, buttons } = await open('operator');
    assert.equal(items(), 2); // and no sequence
    assert.deepEqual(buttons().filter(Boolean), []);
  });

  test('leads to the login when the session has ended', async () => {
    const { press } = await open('operator');
    answers['POST /api/wake-on-lan/3/wake'] = answer({ error: 'Log in first.' }, 401);
    await press('Switch rack on');
    assert.equal(globalThis.location.wentTo, '/login?next=%2F');
  });
});

group('an admin', () => {
  test('adds a machine', async () => {
    const { form, inputs, send } = await open('admin');
    assert.equal(form.hidden, false);
    inputs.name.value = 'desk';
    inputs.mac.value = '001b.6384.45e7';
    await send();
    const machine = { name: 'desk', mac: '001b.6384.45e7', broadcast: '', interface: '' };
    assert.deepEqual(asked, [
      ['POST', '/api/wake-on-lan', machine],
      ['GET', '/api/wake-on-lan'],
    ]);
    assert.equal(inputs.name.value, '');
  });

  test('keeps what was typed if it is refused', async () => {
    const { error, inputs, send } = await open('admin');
    answers['POST /api/wake-on-lan'] = answer({ error: 'This MAC address is all zeros.' }, 400);
    inputs.mac.value = '000000000000';
    await send();
    assert.equal(error(), 'This MAC address is all zeros.');
    assert.equal(inputs.mac.value, '000000000000');
  });

  test('changes a machine, and the next one that is entered is a new one', async () => {
    const { inputs, press, send } = await open('admin');
    await press('Change rack');
    assert.deepEqual(inputs.name.did, ['focus']);
    assert.equal(inputs.interface.value, 'eth1');
    inputs.interface.value = '';
    await send();
    const { number, ...machine } = { ...RACK, interface: '' };
    assert.deepEqual(asked[0], ['PATCH', '/api/wake-on-lan/3', machine]);
    await send();
    assert.equal(asked[2][0], 'POST');
  });

  test('removes a machine after a question', async () => {
    const { press } = await open('admin');
    await press('Remove rack');
    assert.deepEqual(questions, ['Remove rack?']);
    assert.deepEqual(asked[0], ['DELETE', '/api/wake-on-lan/3']);
    asked = [];
    globalThis.confirm = () => false;
    await press('Remove rack');
    assert.deepEqual(asked, []);
  });

  test('does not change what was removed meanwhile', async () => {
    const { press, send } = await open('admin');
    await press('Change rack');
    await press('Remove rack');
    asked = [];
    await send();
    assert.equal(asked[0][0], 'POST');
  });
});

group('the attached computer', () => {
  const ON = { power: true, disk: false, pressing: null, presses: ['power', 'reset', 'force_off'] };

  test('is not there where no button is connected', async () => {
    const { state } = await open('operator');
    assert.equal(state(), undefined);
    assert.ok(!asked.some(([, path]) => path === '/api/atx'));
  });

  for (const [lights, words] of [
    [{ power: true, disk: true }, 'It is on. Its disk works.'],
    [{ power: false, disk: false }, 'It is off.'],
    [{ power: null, disk: null }, ''],
  ])
    test(`says what its lights show: ${words}`, async () => {
      answers['GET /api/atx'] = answer({ ...ON, ...lights });
      const { state } = await open('operator', { hasAtx: true });
      assert.equal(state(), words);
    });

  test('is looked at again for as long as the dialog is open', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    answers['GET /api/atx'] = answer(ON);
    const { dialog, press, state } = await open('operator', { hasAtx: true });
    dialog.open = true;
    await press('Power button');
    answers['GET /api/atx'] = answer({ error: 'The ATX service does not answer.' }, 503);
    mock.timers.tick(1000);
    await settle();
    assert.equal(state(), 'The ATX service does not answer.');
    answers['GET /api/atx'] = answer({ ...ON, power: false });
    mock.timers.tick(1000);
    await settle();
    assert.equal(state(), 'It is off.');
    dialog.dispatchEvent(new Event('close'));
    asked = [];
    mock.timers.tick(5000);
    await settle();
    assert.deepEqual(asked, []);
  });

  test('has a button for each that is connected', async () => {
    answers['GET /api/atx'] = answer({ ...ON, presses: ['power', 'force_off'] });
    const { buttons } = await open('operator', { hasAtx: true });
    assert.deepEqual(buttons().slice(0, 2), ['Power button', 'Force off (5 s)']);
  });

  test('is switched by a click, and without a question', async () => {
    answers['GET /api/atx'] = answer(ON);
    const { press, status } = await open('operator', { hasAtx: true });
    await press('Power button');
    assert.deepEqual(asked[0], ['POST', '/api/atx', { press: 'power' }]);
    assert.deepEqual(questions, []);
    assert.equal(status(), 'The button was pressed.');
  });

  for (const [label, press] of [
    ['Reset', 'reset'],
    ['Force off (5 s)', 'force_off'],
  ])
    test(`is asked for before what loses something: ${press}`, async () => {
      answers['GET /api/atx'] = answer(ON);
      const dialog = await open('operator', { hasAtx: true });
      await dialog.press(label);
      assert.match(questions[0], /What is not saved there is lost/);
      assert.deepEqual(asked[0], ['POST', '/api/atx', { press }]);
      asked = [];
      globalThis.confirm = () => false;
      await dialog.press(label);
      assert.deepEqual(asked, []);
    });

  test('takes no second press while a button is down', async () => {
    answers['GET /api/atx'] = answer({ ...ON, pressing: 'force_off' });
    const { disabled } = await open('operator', { hasAtx: true });
    assert.deepEqual(disabled(), ['Power button', 'Reset', 'Force off (5 s)']);
  });

  test('can be tried again after a refusal', async () => {
    answers['GET /api/atx'] = answer(ON);
    const { disabled, error, press } = await open('operator', { hasAtx: true });
    answers['POST /api/atx'] = answer({ error: 'A button is being pressed.' }, 409);
    await press('Power button');
    assert.equal(error(), 'A button is being pressed.');
    assert.deepEqual(disabled(), []);
  });
});

group('commands of the operator', () => {
  const PLUG = 'Plug off';

  test('are run after a question', async () => {
    answers['GET /api/power-hooks'] = answer({ hooks: [PLUG] });
    const { press, status } = await open('operator');
    await press(PLUG);
    assert.deepEqual(questions, ['Run Plug off?']);
    assert.deepEqual(asked, [['POST', '/api/power-hooks', { hook: PLUG }]]);
    assert.equal(status(), 'Plug off has run.');
    asked = [];
    globalThis.confirm = () => false;
    await press(PLUG);
    assert.deepEqual(asked, []);
  });

  test('that fail say why', async () => {
    answers['GET /api/power-hooks'] = answer({ hooks: [PLUG] });
    const { error, press, status } = await open('operator');
    answers['POST /api/power-hooks'] = answer({ error: 'Plug off failed (3).' }, 409);
    await press(PLUG);
    assert.equal(error(), 'Plug off failed (3).');
    assert.equal(status(), '');
  });

  test('are offered where there are some, and once', async () => {
    const without = await open('operator');
    assert.ok(without.dialog.all.find(({ tag }) => tag === 'section').hidden);
    answers['GET /api/power-hooks'] = answer({ hooks: [PLUG] });
    const { buttons, reopen } = await open('operator');
    await reopen();
    assert.deepEqual(
      buttons().filter((each) => each === PLUG),
      [PLUG],
    );
  });
});

group('sequences', () => {
  const SETUP = {
    number: 4,
    name: 'Set-up',
    steps: [
      { do: 'power', press: 'power' },
      { do: 'repeat', keys: ['F2', 'ShiftLeft'], every_ms: 200, seconds: 10 },
      { do: 'text', text: 'boot', layout: 'de', pace: 'slow' },
    ],
  };
  const LAST = {
    ...{ number: 4, name: 'Set-up', by: 'ada', step: 2, steps: 3 },
    ...{ is_running: true, is_stopped: false, error: '' },
  };
  const tell = (last, sequences = [SETUP]) => {
    answers['GET /api/sequences'] = answer({ sequences, last });
  };

  async function opened(role) {
    const found = await open(role);
    const { all } = found.dialog;
    const form = all.filter(({ tag }) => tag === 'form').at(-1);
    return {
      ...found,
      form,
      said: () => found.dialog.all.find(({ ariaLive }) => ariaLive === 'polite').textContent,
      run: () => found.dialog.all.find(({ ariaLabel }) => ariaLabel === 'Run Set-up'),
      stop: found.dialog.all.find(({ textContent }) => textContent === 'Stop the sequence'),
      fields: () => form.all.filter(({ tag }) => ['input', 'select', 'textarea'].includes(tag)),
      save: async () => {
        form.submit();
        await settle();
      },
    };
  }

  test('are run and stopped by operators, who edit nothing', async () => {
    tell(null);
    const { form, press, run, said, stop } = await opened('operator');
    assert.equal(form.hidden, true);
    assert.equal(stop.hidden, true);
    tell(LAST);
    await press('Run Set-up');
    assert.deepEqual(asked[0], ['POST', '/api/sequences/4/run', {}]);
    assert.equal(said(), 'Set-up is running, step 2 of 3. Begun by ada.');
    assert.equal(run().disabled, true);
    assert.equal(stop.hidden, false);
    tell({ ...LAST, is_running: false, is_stopped: true });
    stop.click();
    await settle();
    assert.equal(said(), 'Set-up was stopped at step 2 of 3.');
    assert.equal(run().disabled, false);
    assert.equal(stop.hidden, true);
  });

  test('are looked at again while one runs and the dialog is open', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    tell(LAST);
    const { dialog, said } = await opened('operator');
    answers['GET /api/sequences'] = answer({ error: 'The device is not ready.' }, 503);
    mock.timers.tick(1000);
    await settle();
    assert.equal(said(), 'The device is not ready.');
    tell({ ...LAST, is_running: false, error: 'bob has the controls.' });
    mock.timers.tick(1000);
    await settle();
    assert.equal(said(), 'Set-up ended at step 2 of 3: bob has the controls.');
    asked = [];
    mock.timers.tick(5000);
    await settle();
    assert.deepEqual(asked, []);
    tell(LAST);
    dialog.dispatchEvent(new Event('close'));
    mock.timers.tick(5000);
    await settle();
    assert.deepEqual(asked, []);
  });

  test('are changed by an admin, and keep what the form does not show', async () => {
    tell({ ...LAST, is_running: false });
    const { fields, press, said, save } = await opened('admin');
    assert.equal(said(), 'Set-up has run.');
    await press('Change Set-up');
    const [name, , button, , keys] = fields();
    assert.deepEqual([name.value, button.value, keys.value], ['Set-up', 'power', 'F2 ShiftLeft']);
    keys.value = ' ControlLeft+AltLeft,Delete ';
    await save();
    const steps = [SETUP.steps[0], { ...SETUP.steps[1], keys: ['ControlLeft', 'AltLeft', 'Delete'] }, SETUP.steps[2]];
    assert.deepEqual(asked[0], ['PATCH', '/api/sequences/4', { name: 'Set-up', steps }]);
    assert.equal(fields()[0].value, '');
  });

  test('are added step by step', async () => {
    tell(null, []);
    const { fields, form, save } = await opened('admin');
    fields()[0].value = 'Boot menu';
    const add = form.all.find(({ textContent }) => textContent === 'Add a step');
    add.click();
    add.click();
    const kind = fields()[1];
    kind.value = 'wait_for_picture';
    kind.dispatchEvent(new Event('change'));
    form.all.filter(({ textContent }) => textContent === 'Remove the step')[1].click();
    await save();
    const steps = [{ do: 'wait_for_picture', seconds: 60 }];
    assert.deepEqual(asked[0], ['POST', '/api/sequences', { name: 'Boot menu', steps }]);
  });

  test('are removed after a question', async () => {
    tell(null);
    const { press } = await opened('admin');
    await press('Remove Set-up');
    assert.deepEqual(questions, ['Remove Set-up?']);
    assert.deepEqual(asked[0], ['DELETE', '/api/sequences/4']);
  });
});
