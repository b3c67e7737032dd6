// SPDX-License-Identifier: MIT
// The leader key, for what a browser keeps for itself.
import assert from 'node:assert/strict';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { Leader, describeLeader } = await import(new URL('leader.js', BASE));

function leader() {
  const keys = new Leader();
  const tap = (code) => {
    const chosen = keys.press({ code });
    keys.release({ code });
    return chosen;
  };
  return { keys, tap };
}

test('the leader alone, and then a number, is a combination, once', () => {
  const { keys, tap } = leader();
  assert.equal(tap('ControlRight'), null);
  assert.equal(keys.isNext, true);
  assert.deepEqual(tap('Digit1'), ['Escape']);
  assert.equal(keys.isNext, false);
  assert.equal(tap('Digit1'), null);
  tap('ControlRight');
  assert.deepEqual(tap('Numpad2'), ['ControlLeft', 'AltLeft', 'Delete']);
  tap('ControlRight');
  assert.deepEqual(tap('Digit9'), ['ControlLeft', 'AltLeft', 'F1']);
});

test('any other key after it is the computer\u2019s, and ends it', () => {
  const { keys, tap } = leader();
  for (const code of ['Digit0', 'KeyA', 'ShiftLeft', 'F1']) {
    tap('ControlRight');
    assert.equal(tap(code), null);
    assert.equal(keys.isNext, false);
  }
});

test('held with another key it is a modifier', () => {
  const { keys } = leader();
  keys.press({ code: 'ControlRight' });
  assert.equal(keys.press({ code: 'Digit1' }), null);
  keys.release({ code: 'Digit1' });
  keys.release({ code: 'ControlRight' });
  assert.equal(keys.isNext, false);
});

test('twice it waits for the number still, and it can be taken back', () => {
  const { keys, tap } = leader();
  tap('ControlRight');
  tap('ControlRight');
  assert.equal(keys.isNext, true);
  keys.cancel();
  assert.equal(tap('Digit1'), null);
});

test('all that it stands for is said', () => {
  assert.match(describeLeader(), /^1: Esc · 2: Ctrl \+ Alt \+ Del · .* · 9: Ctrl \+ Alt \+ F1$/);
});
