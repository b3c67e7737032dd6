// SPDX-License-Identifier: MIT
// Keyboard events as browsers and systems really send them: modifiers that are hidden, releases that never come, keys
// with one event alone.
import assert from 'node:assert/strict';
import test from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/hid/', import.meta.url);
const { HeldKeys } = await import(new URL('held-keys.js', BASE));

const FLAGS = { Shift: 'shiftKey', Control: 'ctrlKey', Alt: 'altKey', Meta: 'metaKey' };

// An event of a browser: its code and key, and the modifiers that it says are down.
function keyEvent(code, key, ...flags) {
  const event = { code, key, repeat: false, timeStamp: 0 };
  for (const [name, flag] of Object.entries(FLAGS)) event[flag] = flags.includes(name);
  event.getModifierState = (name) => flags.includes(name);
  return event;
}

// Changes as words: "+KeyA" pressed, "-KeyA" let go.
const inWords = (changes) => changes.map(({ code, down }) => (down ? '+' : '-') + code).join(' ');

function keyboard(options) {
  const keys = new HeldKeys(options);
  keys.altGrCharacters = { KeyQ: ['@\\', 'Ω'], KeyE: ['€', ''] };
  return {
    keys,
    down: (...event) => inWords(keys.press(keyEvent(...event))),
    up: (...event) => inWords(keys.release(keyEvent(...event)).changes),
    repeat: (...event) => inWords(keys.press({ ...keyEvent(...event), repeat: true })),
    mouse: (...flags) => inWords(keys.reconcile(keyEvent('', '', ...flags))),
    get held() {
      return keys.any;
    },
  };
}

// --- Modifiers that the browser hides ---

for (const [code, key, flags, added] of [
  ['KeyA', 'A', ['Shift'], 'ShiftLeft'],
  ['Digit1', '!', ['Shift'], 'ShiftLeft'],
  ['KeyC', 'c', ['Control'], 'ControlLeft'],
  ['Tab', 'Tab', ['Alt'], 'AltLeft'],
  ['KeyE', 'e', ['Meta'], 'MetaLeft'],
  ['KeyE', 'e', ['OS'], 'MetaLeft'],
  ['Delete', 'Delete', ['Control', 'Alt'], 'ControlLeft AltLeft'],
  ['KeyT', 'T', ['Control', 'Shift'], 'ShiftLeft ControlLeft'],
  // AltGr: as itself, as Windows tells of it, and by what it types alone.
  ['KeyQ', '@', ['AltGraph'], 'AltRight'],
  ['KeyQ', '@', ['Control', 'Alt'], 'AltRight'],
  ['KeyQ', '@', ['Control', 'Alt', 'AltGraph'], 'AltRight'],
  ['KeyQ', '@', [], 'AltRight'],
  ['KeyQ', 'Ω', ['Shift'], 'ShiftLeft AltRight'],
]) {
  test(`${key} with ${flags.join('+') || 'nothing'} said and nothing pressed before is typed with ${added}`, () => {
    const typed = keyboard();
    const each = added.split(' ');
    assert.equal(typed.down(code, key, ...flags), [...each, code].map((name) => `+${name}`).join(' '));
    assert.equal(typed.up(code, key, ...flags), [code, ...each].map((name) => `-${name}`).join(' '));
    assert.equal(typed.held, false);
  });
}

test('a hidden Shift is held for as long as keys are, and let go before a key without it', () => {
  const typed = keyboard();
  typed.down('KeyA', 'A', 'Shift');
  assert.equal(typed.down('KeyB', 'B', 'Shift'), '+KeyB');
  assert.equal(typed.up('KeyA', 'A', 'Shift'), '-KeyA');
  assert.equal(typed.down('KeyC', 'c'), '-ShiftLeft +KeyC');
  assert.equal(typed.up('KeyB', 'b'), '-KeyB');
  assert.equal(typed.up('KeyC', 'c'), '-KeyC');
});

test('AltGr that a character has told of is not held for the next', () => {
  const typed = keyboard();
  typed.down('KeyQ', '@');
  assert.equal(typed.down('KeyE', 'e'), '-AltRight +KeyE');
  assert.equal(typed.down('KeyE', '€'), '-KeyE +AltRight +KeyE');
});

for (const [code, key, flags, options] of [
  ['KeyA', 'A', [], {}], // Caps Lock
  ['KeyE', '€', ['Control'], {}], // as a combination of the browser's system
  ['KeyQ', '@', [], { mac: true }],
  ['KeyQ', 'Dead', [], {}],
  ['KeyQ', '', [], {}],
  ['KeyB', '@', [], {}],
]) {
  test(`${code} that says "${key}" with ${flags.join('+') || 'nothing'} on ${JSON.stringify(options)} needs no AltGr`, () =>
    assert.doesNotMatch(keyboard(options).down(code, key, ...flags), /AltRight|Shift/));
}

test('an event without flags tells nothing', () => {
  const keys = new HeldKeys();
  keys.press({ code: 'ShiftLeft' });
  assert.equal(inWords(keys.press({ code: 'KeyA' })), '+KeyA');
});

// --- Modifiers whose release never came ---

for (const [what, held] of [
  ['both Shifts, of which one release was said', ['ShiftLeft', 'ShiftRight']],
  ['Windows', ['MetaLeft']],
  ['Control', ['ControlRight']],
  ['Alt', ['AltLeft']],
  ['Alt on the right, where it is none of AltGr', ['AltRight']],
]) {
  test(`${what}: let go by the next event that says so, of a key or the mouse`, () => {
    for (const next of ['down', 'up', 'repeat', 'mouse']) {
      const typed = keyboard();
      const kind = held[0].replace(/Left|Right/, '');
      for (const code of held) typed.down(code, kind, kind);
      if (held[1]) typed.up(held[1], kind, kind);
      const said = next === 'mouse' ? typed.mouse() : typed[next]('KeyE', 'e');
      assert.equal(said.split(' ')[0], `-${held[0]}`, next);
      typed.up('KeyE', 'e');
      assert.equal(typed.held, false);
    }
  });
}

test('keys that the system took with a Windows key go with it', () => {
  const typed = keyboard();
  typed.down('MetaLeft', 'Meta', 'Meta');
  typed.down('ShiftLeft', 'Shift', 'Meta', 'Shift');
  typed.down('KeyS', 'S', 'Meta', 'Shift');
  assert.equal(typed.down('KeyH', 'h'), '-MetaLeft -ShiftLeft -KeyS +KeyH');
});

test('a key that is pressed twice was let go between', () => {
  const typed = keyboard();
  typed.down('KeyA', 'a');
  assert.equal(typed.repeat('KeyA', 'a'), '');
  assert.equal(typed.down('KeyA', 'a'), '-KeyA +KeyA');
});

for (const [code, key] of [
  ['AltRight', 'Compose'],
  ['MetaRight', 'Compose'],
  ['ControlRight', 'Compose'],
  ['MetaLeft', 'Hyper'],
  ['ControlLeft', 'CapsLock'],
  ['ShiftLeft', 'Escape'],
  ['AltRight', 'Process'],
]) {
  test(`${code} that the person's system calls ${key}, of which no flag tells, is held until it is let go`, () => {
    const typed = keyboard();
    assert.equal(typed.down(code, key), `+${code}`);
    assert.equal(typed.down('KeyQ', 'q'), '+KeyQ');
    assert.equal(typed.mouse(), '');
    assert.equal(typed.up('KeyQ', 'q'), '-KeyQ');
    assert.equal(typed.up(code, key), `-${code}`);
  });
}

// --- Dead keys ---

for (const [dead, code, letter] of [
  ['Quote', 'KeyQ', '@'],
  ['Quote', 'KeyE', '€'],
  ['Backquote', 'KeyQ', '\\'],
]) {
  test(`${letter} on ${code} after a dead key needs no AltGr, and the next one does`, () => {
    const typed = keyboard();
    assert.equal(typed.down(dead, 'Dead'), `+${dead}`);
    typed.up(dead, 'Dead');
    assert.equal(typed.down(code, letter), `+${code}`);
    typed.up(code, letter);
    assert.equal(typed.down(code, letter), `+AltRight +${code}`);
  });
}

test('Shift between a dead key and its letter changes nothing', () => {
  const typed = keyboard();
  typed.down('Quote', 'Dead');
  typed.up('Quote', 'Dead');
  typed.down('ShiftLeft', 'Shift', 'Shift');
  assert.equal(typed.down('KeyQ', 'Ω', 'Shift'), '+KeyQ');
});

test('the letter of a dead key that was pressed before the keyboard was given back is no letter of it', () => {
  const typed = keyboard();
  typed.down('Quote', 'Dead');
  typed.keys.clear();
  assert.equal(typed.down('KeyQ', '@'), '+AltRight +KeyQ');
});

test('after a dead key AltGr that is told of as Ctrl and Alt is AltGr', () => {
  const typed = keyboard();
  typed.down('Quote', 'Dead');
  typed.up('Quote', 'Dead');
  assert.equal(typed.down('KeyQ', '@', 'Control', 'Alt'), '+AltRight +KeyQ');
});

// --- Command of a Mac, which keeps the releases of other keys to itself ---

test('a key with Command is pressed and let go at once, and again as often as the Mac repeats it', () => {
  const typed = keyboard({ mac: true });
  assert.equal(typed.down('MetaLeft', 'Meta', 'Meta'), '+MetaLeft');
  for (const code of ['KeyA', 'KeyB', 'KeyC', 'KeyD', 'KeyE', 'KeyF', 'KeyG']) {
    assert.equal(typed.down(code, 'x', 'Meta'), `+${code} -${code}`);
    assert.equal(typed.repeat(code, 'x', 'Meta'), `+${code} -${code}`);
  }
  assert.equal(typed.keys.anyPlain, false);
  assert.equal(typed.up('KeyG', 'x', 'Meta'), '');
  assert.equal(typed.up('MetaLeft', 'Meta'), '-MetaLeft');
  assert.equal(typed.held, false);
});

test('a key with Command that the page did not see pressed leaves nothing down', () => {
  const typed = keyboard({ mac: true });
  assert.equal(typed.down('KeyV', 'v', 'Meta'), '+MetaLeft +KeyV -KeyV -MetaLeft');
  assert.equal(typed.held, false);
});

test('a key that was down before Command is held until one of them is let go', () => {
  const typed = keyboard({ mac: true });
  typed.down('KeyA', 'a');
  typed.down('MetaLeft', 'Meta', 'Meta');
  assert.equal(typed.repeat('KeyA', 'a', 'Meta'), '');
  assert.equal(typed.down('KeyA', 'a', 'Meta'), '-KeyA +KeyA -KeyA');
  typed.down('ShiftLeft', 'Shift', 'Meta', 'Shift');
  assert.equal(typed.up('MetaLeft', 'Meta', 'Shift'), '-MetaLeft');
});

test('the Windows key of other systems holds keys as they say', () => {
  const typed = keyboard();
  typed.down('MetaLeft', 'Meta', 'Meta');
  assert.equal(typed.down('KeyV', 'v', 'Meta'), '+KeyV');
  assert.equal(typed.repeat('KeyV', 'v', 'Meta'), '');
});

// --- What must stay as it is ---

test('real combinations are sent as they are pressed', () => {
  const typed = keyboard();
  assert.equal(typed.down('ControlRight', 'Control', 'Control'), '+ControlRight');
  assert.equal(typed.down('ShiftRight', 'Shift', 'Control', 'Shift'), '+ShiftRight');
  assert.equal(typed.down('Escape', 'Escape', 'Control', 'Shift'), '+Escape');
  assert.equal(typed.mouse('Control', 'Shift'), '');
  assert.equal(typed.up('ShiftRight', 'Shift', 'Control'), '-ShiftRight');
  assert.equal(typed.up('Escape', 'Escape', 'Control'), '-Escape');
  assert.equal(typed.up('ControlRight', 'Control'), '-ControlRight');
});

test('one of two Shifts stays down when the other is let go', () => {
  const typed = keyboard();
  typed.down('ShiftLeft', 'Shift', 'Shift');
  typed.down('ShiftRight', 'Shift', 'Shift');
  assert.equal(typed.up('ShiftRight', 'Shift', 'Shift'), '-ShiftRight');
  assert.equal(typed.down('KeyA', 'A', 'Shift'), '+KeyA');
});

// Firefox leaves Ctrl and Alt out of the flags while they make AltGr.
for (const flags of [['AltGraph'], ['Control', 'Alt'], ['Control', 'Alt', 'AltGraph']]) {
  test(`AltGr of Windows, with ${flags.join('+')} said, is AltGr alone`, () => {
    const typed = keyboard();
    assert.equal(typed.down('ControlLeft', 'Control', 'Control'), '+ControlLeft');
    assert.equal(typed.down('AltRight', 'AltGraph', ...flags), '-ControlLeft +AltRight');
    assert.equal(typed.down('KeyQ', '@', ...flags), '+KeyQ');
    assert.equal(typed.up('KeyQ', '@', ...flags), '-KeyQ');
    assert.equal(typed.up('ControlLeft', 'Control', ...flags), '');
    assert.equal(typed.up('AltRight', 'AltGraph'), '-AltRight');
    assert.equal(typed.down('KeyE', 'e'), '+KeyE');
  });

  test(`Ctrl and Alt for AltGr, with ${flags.join('+')} said, stay Ctrl and Alt`, () => {
    const typed = keyboard();
    typed.down('ControlLeft', 'Control', 'Control');
    typed.down('AltLeft', 'Alt', ...flags);
    assert.equal(typed.down('KeyQ', '@', ...flags), '+KeyQ');
    assert.equal(typed.up('KeyQ', '@', ...flags), '-KeyQ');
    assert.equal(typed.up('AltLeft', 'Alt', 'Control'), '-AltLeft');
    assert.equal(typed.up('ControlLeft', 'Control'), '-ControlLeft');
  });
}

for (const [what, flags] of [
  ['Control and Alt said', ['Control', 'Alt', 'AltGraph']],
  ['AltGr alone said', ['AltGraph']],
]) {
  test(`AltGr of Windows that repeats, though no event says that it does, is AltGr alone, with ${what}`, () => {
    const typed = keyboard();
    typed.down('ControlLeft', 'Control', 'Control');
    typed.down('AltRight', 'AltGraph', ...flags);
    for (let times = 0; times < 3; times += 1) {
      typed.down('ControlLeft', 'Control', ...flags);
      typed.down('AltRight', 'AltGraph', ...flags);
    }
    assert.equal(typed.down('KeyQ', '@', ...flags), '+KeyQ');
    assert.equal(typed.up('KeyQ', '@', ...flags), '-KeyQ');
    assert.equal(typed.up('ControlLeft', 'Control', ...flags), '');
    assert.equal(typed.up('AltRight', 'AltGraph'), '-AltRight');
    assert.equal(typed.held, false);
  });
}

test('what Windows says of Ctrl while AltGr is held presses none', () => {
  const typed = keyboard();
  typed.down('AltRight', 'AltGraph', 'Control', 'Alt', 'AltGraph');
  assert.equal(typed.down('ControlLeft', 'Control', 'Control', 'Alt', 'AltGraph'), '');
});

test('Ctrl that is pressed after AltGr on Linux is Ctrl', () => {
  const typed = keyboard();
  typed.down('AltRight', 'AltGraph', 'AltGraph');
  assert.equal(typed.down('ControlLeft', 'Control', 'Control', 'AltGraph'), '+ControlLeft');
  assert.equal(typed.up('ControlLeft', 'Control', 'AltGraph'), '-ControlLeft');
});

test('AltGr of which the browser tells nothing is held until it is let go', () => {
  const typed = keyboard();
  typed.down('AltRight', 'AltGraph');
  assert.equal(typed.down('KeyQ', '@'), '+KeyQ');
  assert.equal(typed.up('KeyQ', '@'), '-KeyQ');
  assert.equal(typed.up('AltRight', 'AltGraph'), '-AltRight');
});

test('AltGr whose release never came is let go where the browser tells of it', () => {
  const typed = keyboard();
  typed.down('AltRight', 'AltGraph', 'AltGraph');
  assert.equal(typed.down('KeyE', 'e'), '-AltRight +KeyE');
});

test("a Mac's Option types nothing but Option, whatever it says of AltGr", () => {
  const typed = keyboard({ mac: true });
  assert.equal(typed.down('AltRight', 'Alt', 'Alt', 'AltGraph'), '+AltRight');
  assert.equal(typed.down('KeyQ', '@', 'Alt', 'AltGraph'), '+KeyQ');
  assert.equal(typed.up('KeyQ', '@', 'Alt', 'AltGraph'), '-KeyQ');
  assert.equal(typed.up('AltRight', 'Alt'), '-AltRight');
});

// Caps Lock as another Control, Alt and Windows key changed places, Alt that Linux calls Meta with Shift.
for (const [code, key, flag] of [
  ['CapsLock', 'Control', 'Control'],
  ['AltLeft', 'Meta', 'Meta'],
  ['AltLeft', 'Meta', 'Alt'],
]) {
  test(`${code} that is ${key} to the person's system, with ${flag} said, is held alone`, () => {
    const typed = keyboard();
    assert.equal(typed.down(code, key, flag), `+${code}`);
    assert.equal(typed.down('KeyC', 'c', flag), '+KeyC');
    assert.equal(typed.up('KeyC', 'c', flag), '-KeyC');
    assert.equal(typed.down('KeyD', 'd'), `-${code} +KeyD`);
  });
}

test('the chord that gives the keyboard back is left by its own release alone', () => {
  const keys = new HeldKeys();
  keys.press(keyEvent('ControlLeft', 'Control', 'Control'));
  keys.press(keyEvent('AltLeft', 'Alt', 'Control', 'Alt'));
  keys.press(keyEvent('ShiftLeft', 'Shift', 'Control', 'Alt', 'Shift'));
  keys.reconcile(keyEvent('', '', 'Control', 'Alt', 'Shift'));
  assert.equal(keys.release(keyEvent('AltLeft', 'Alt', 'Control', 'Shift')).leave, true);
  keys.clear();
  keys.press(keyEvent('ControlLeft', 'Control', 'Control'));
  keys.press(keyEvent('AltLeft', 'Alt', 'Control', 'Alt'));
  keys.press(keyEvent('ShiftLeft', 'Shift', 'Control', 'Alt', 'Shift'));
  keys.reconcile(keyEvent('', '', 'Alt', 'Shift'));
  assert.equal(keys.release(keyEvent('AltLeft', 'Alt', 'Shift')).leave, false);
});

test('one of two Shifts stays down when the release of the other says nothing of it', () => {
  const typed = keyboard();
  typed.down('ShiftLeft', 'Shift', 'Shift');
  typed.down('ShiftRight', 'Shift', 'Shift');
  assert.equal(typed.up('ShiftRight', 'Shift'), '-ShiftRight');
});

test('a modifier that is pressed twice stays down', () => {
  const typed = keyboard();
  typed.down('ShiftLeft', 'Shift', 'Shift');
  assert.equal(typed.down('ShiftLeft', 'Shift', 'Shift'), '');
});

// --- Keys with one event alone ---

for (const [code, key] of [
  ['Backquote', 'Zenkaku'],
  ['Backquote', 'Hankaku'],
  ['Backquote', 'Process'],
  ['CapsLock', 'Process'],
  ['CapsLock', 'Alphanumeric'],
  ['KanaMode', 'Hiragana'],
  ['KanaMode', 'Katakana'],
  ['Convert', 'Convert'],
  ['NonConvert', 'NonConvert'],
  ['Lang1', 'HangulMode'],
  ['AltRight', 'HangulMode'],
  ['Lang2', 'HanjaMode'],
]) {
  test(`${key} is pressed and let go by its press`, () => {
    const typed = keyboard();
    for (let times = 0; times < 2; times++) {
      assert.equal(typed.down(code, key), `+${code} -${code}`);
      assert.equal(typed.repeat(code, key), '');
    }
    assert.equal(typed.up(code, key), '');
    assert.equal(typed.held, false);
  });
}

test('a key that an input method has taken, and whose release comes, is held until then', () => {
  const typed = keyboard();
  assert.equal(typed.down('KeyA', 'Process'), '+KeyA');
  assert.equal(typed.up('KeyA', 'a'), '-KeyA');
});

test('PrintScreen is pressed and let go by its release, with Alt, too, and once where both come', () => {
  const typed = keyboard();
  assert.equal(typed.up('PrintScreen', 'PrintScreen'), '+PrintScreen -PrintScreen');
  typed.down('AltLeft', 'Alt', 'Alt');
  assert.equal(typed.up('PrintScreen', 'PrintScreen', 'Alt'), '+PrintScreen -PrintScreen');
  assert.equal(typed.up('AltLeft', 'Alt'), '-AltLeft');
  assert.equal(typed.down('PrintScreen', 'PrintScreen'), '+PrintScreen');
  assert.equal(typed.up('PrintScreen', 'PrintScreen'), '-PrintScreen');
});

for (const [event, code, key, flags, added] of [
  ['up', 'PrintScreen', 'PrintScreen', ['Alt'], 'AltLeft'],
  ['up', 'PrintScreen', 'PrintScreen', ['Control', 'Shift'], 'ShiftLeft ControlLeft'],
  ['down', 'Backquote', 'Zenkaku', ['Alt'], 'AltLeft'],
  ['down', 'CapsLock', 'Alphanumeric', ['Shift'], 'ShiftLeft'],
]) {
  test(`${key}, of which one event alone comes, has the modifiers that it says: ${flags.join('+')}`, () => {
    const typed = keyboard();
    const words = (sign) => added.split(' ').map((name) => sign + name);
    const wanted = [...words('+'), `+${code}`, `-${code}`, ...words('-')].join(' ');
    assert.equal(typed[event](code, key, ...flags), wanted);
    assert.equal(typed.held, false);
  });
}

test('a release of which no press came is none of another key', () => {
  for (const code of ['Enter', 'Space', 'KeyA']) assert.equal(keyboard().up(code, code), '');
});

test("a Mac's Caps Lock that was on before the page came is pressed and let go by its release", () => {
  assert.equal(keyboard({ mac: true }).up('CapsLock', 'CapsLock'), '+CapsLock -CapsLock');
});

// --- The numeric pad of Windows, where Num Lock and Shift together take Shift back ---

for (const [what, shiftEvents] of [
  ['the events that Windows makes of Shift', true],
  ['no events of Shift', false],
]) {
  test(`Shift and a key of the numeric pad arrive as both, with ${what}`, () => {
    const typed = keyboard();
    typed.down('ShiftLeft', 'Shift', 'Shift', 'NumLock');
    if (shiftEvents) assert.equal(typed.up('ShiftLeft', 'Shift', 'NumLock'), '-ShiftLeft');
    assert.equal(typed.down('Numpad7', 'Home', 'NumLock'), `${shiftEvents ? '+ShiftLeft ' : ''}+Numpad7`);
    assert.equal(typed.repeat('Numpad7', 'Home', 'NumLock'), '');
    assert.equal(typed.up('Numpad7', 'Home', 'NumLock'), `-Numpad7${shiftEvents ? ' -ShiftLeft' : ''}`);
    if (shiftEvents) assert.equal(typed.down('ShiftLeft', 'Shift', 'Shift', 'NumLock'), '+ShiftLeft');
    assert.equal(typed.up('ShiftLeft', 'Shift', 'NumLock'), '-ShiftLeft');
    assert.equal(typed.held, false);
  });
}

for (const [code, key, ...flags] of [
  ['Numpad7', '7', 'NumLock'],
  ['Numpad7', 'Home'],
  ['NumpadDecimal', 'Delete'],
  ['Home', 'Home', 'NumLock'],
  ['NumpadEnter', 'Enter', 'NumLock'],
  ['NumpadAdd', '+', 'NumLock'],
  ['Numpad5', 'Unidentified', 'NumLock'],
]) {
  test(`${code} that says ${key} with ${flags.join('+') || 'nothing'} needs no Shift`, () =>
    assert.equal(keyboard().down(code, key, ...flags), `+${code}`));
}

test('a text that is typed lets go of all, and what is held still is pressed again with the next key', () => {
  const typed = keyboard();
  typed.down('ShiftRight', 'Shift', 'Shift');
  typed.down('KeyA', 'A', 'Shift');
  assert.equal(inWords(typed.keys.letGo()), '-ShiftRight -KeyA');
  assert.equal(typed.repeat('KeyA', 'A', 'Shift'), '');
  assert.equal(typed.down('KeyB', 'B', 'Shift'), '+ShiftLeft +KeyB');
  assert.equal(typed.up('KeyB', 'B', 'Shift'), '-KeyB -ShiftLeft');
  assert.equal(typed.up('ShiftRight', 'Shift'), '');
  assert.equal(typed.held, false);
});

// --- ISO keyboards of Macs ---

// Whether the browser takes back what macOS has exchanged, or not: left of 1 and left of Z, by their caps.
for (const [language, leftOf1, leftOfZ, sent1, sentZ] of [
  ['en-GB', '§', '`', 'IntlBackslash', 'Backquote'],
  ['de', '^', '<', 'Backquote', 'IntlBackslash'],
  ['de', 'Dead', '<', 'Backquote', 'IntlBackslash'],
  ['fr-FR', '@', '<', 'Backquote', 'IntlBackslash'],
  ['it', '\\', '<', 'Backquote', 'IntlBackslash'],
  ['sv-SE', '§', '<', 'Backquote', 'IntlBackslash'],
  ['tr', '"', '<', 'Backquote', 'IntlBackslash'],
  ['hu', '0', 'í', 'Backquote', 'IntlBackslash'],
]) {
  for (const codes of [
    ['Backquote', 'IntlBackslash'],
    ['IntlBackslash', 'Backquote'],
  ]) {
    test(`a Mac's keyboard with ${leftOf1} left of 1 and ${leftOfZ} left of Z, which say ${codes}`, () => {
      const typed = keyboard({ mac: true, language });
      for (const [code, key, sent] of [
        [codes[0], leftOf1, sent1],
        [codes[1], leftOfZ, sentZ],
      ]) {
        assert.equal(typed.down(code, key), `+${sent}`);
        assert.equal(typed.up(code, 'x'), `-${sent}`);
      }
    });
  }
}

test('which keyboard it is, is learned from its other key', () => {
  const typed = keyboard({ mac: true, language: 'en-US' });
  typed.down('IntlBackslash', '<');
  assert.equal(typed.down('Backquote', '§'), '+Backquote');
  const other = keyboard({ mac: true, language: 'sv' });
  other.down('IntlBackslash', '`');
  other.up('IntlBackslash', '`');
  assert.equal(other.down('Backquote', '§'), '+IntlBackslash');
});

test('a key that repeats is let go as what it was pressed as', () => {
  const typed = keyboard({ mac: true, language: 'en-GB' });
  assert.equal(typed.down('Backquote', '§'), '+IntlBackslash');
  assert.equal(typed.repeat('Backquote', '§'), '');
  assert.equal(typed.up('Backquote', '§'), '-IntlBackslash');
});

test('with Shift they are the same keys', () => {
  const typed = keyboard({ mac: true, language: 'de' });
  typed.down('ShiftLeft', 'Shift', 'Shift');
  assert.equal(typed.down('Backquote', '>', 'Shift'), '+IntlBackslash');
  assert.equal(typed.down('IntlBackslash', '°', 'Shift'), '+Backquote');
});

for (const [options, code, key] of [
  [{}, 'IntlBackslash', '`'],
  [{}, 'Backquote', '§'],
  [{ mac: true, language: 'en-US' }, 'Backquote', '`'],
  [{ mac: true, language: 'en-GB' }, 'IntlBackslash', '\\'],
  [{ mac: true, language: 'en-GB' }, 'Backquote', '¬'],
  [{ mac: true, language: 'ru' }, 'Backquote', '>'],
  [{ mac: true }, 'KeyQ', '§'],
]) {
  test(`${code} that says ${key} on ${JSON.stringify(options)} is where it says`, () =>
    assert.equal(keyboard(options).down(code, key), `+${code}`));
}

// --- At the picture ---

const { Capture } = await import(new URL('capture.js', BASE));

globalThis.devicePixelRatio = 1;

function picture(t, { platform = 'Win32' } = {}) {
  const stage = Object.assign(new EventTarget(), { setPointerCapture() {} });
  const page = Object.assign(new EventTarget(), { activeElement: stage, hasFocus: () => true });
  const before = Object.getOwnPropertyDescriptors(globalThis);
  globalThis.document = page;
  globalThis.addEventListener = page.addEventListener.bind(page);
  Object.defineProperty(globalThis, 'navigator', { value: { platform }, configurable: true });
  t.after(() => {
    for (const name of ['document', 'addEventListener', 'navigator']) {
      if (before[name]) Object.defineProperty(globalThis, name, before[name]);
      else delete globalThis[name];
    }
  });
  const said = [];
  const capture = new Capture({
    stage,
    screen: { width: 1280, height: 720, box: { left: 0, top: 0, width: 1280, height: 720 } },
    socket: {
      say: (type, { code, button, down }) => {
        if (type === 'key' || type === 'button') said.push((down ? '+' : '-') + (code ?? button));
      },
    },
  });
  capture.codes = new Set(['KeyA', 'ShiftLeft', 'ControlLeft', 'Backquote', 'IntlBackslash']);
  capture.enabled = true;
  return (type, { timeStamp, ...fields }) => {
    stage.dispatchEvent(Object.assign(new Event(type, { cancelable: true }), fields));
    return said.splice(0).join(' ');
  };
}

const mouseEvent = (buttons, ...flags) => ({
  ...keyEvent('', '', ...flags),
  pointerId: 1,
  pointerType: 'mouse',
  clientX: 100,
  clientY: 100,
  buttons,
});

test('a click has the modifiers that it says, for as long as the button is down', (t) => {
  const happen = picture(t);
  assert.equal(happen('pointermove', mouseEvent(0, 'Shift')), '');
  assert.equal(happen('pointerdown', mouseEvent(1, 'Shift')), '+ShiftLeft +0');
  assert.equal(happen('pointermove', mouseEvent(1, 'Shift')), '');
  assert.equal(happen('pointerup', mouseEvent(0, 'Shift')), '-0 -ShiftLeft');
});

for (const type of ['pointermove', 'pointerdown', 'wheel']) {
  test(`${type} lets go of a modifier that it says is up`, (t) => {
    const happen = picture(t);
    happen('keydown', keyEvent('ShiftLeft', 'Shift', 'Shift'));
    const event = { ...mouseEvent(type === 'pointerdown' ? 1 : 0), deltaX: 0, deltaY: 0 };
    assert.equal(happen(type, event).split(' ')[0], '-ShiftLeft');
  });
}

for (const platform of ['iPad', 'iPhone', 'MacIntel']) {
  test(`a key with Command, of whose release ${platform} does not tell, is let go`, (t) => {
    const happen = picture(t, { platform });
    assert.equal(happen('keydown', keyEvent('KeyA', 'a', 'Meta')), '+MetaLeft +KeyA -KeyA -MetaLeft');
  });
}

test('two fingers on a touchpad, which browsers say are Ctrl and the wheel, press no Ctrl', (t) => {
  const event = { ...mouseEvent(0, 'Control'), deltaX: 0, deltaY: 4 };
  assert.equal(picture(t)('wheel', event), '');
});
