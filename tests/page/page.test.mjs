// SPDX-License-Identifier: MIT
// The page's decisions, without a browser: node --test tests/page/

import assert from 'node:assert/strict';
import { describe as group, test } from 'node:test';

const modules = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { Backoff } = await import(new URL('../common/backoff.js', modules));
const { FrameWatch } = await import(new URL('frame-watch.js', modules));
const { Recovery, Remedy } = await import(new URL('recovery.js', modules));
const { describe } = await import(new URL('screen-state.js', modules));
const { describeMode, readCertificate, readFields, readIce, readText } = await import(
  new URL('../pages/settings-form.js', modules)
);
const { readEdid } = await import(new URL('../pages/edid-file.js', modules));
const { t } = await import(new URL('../common/i18n.js', modules));
const { askSignal, askSource, interpretSource, Source, SourceWatch } = await import(
  new URL('source-state.js', modules)
);

const calm = {
  linked: true,
  unlinkedFor: 0,
  reachable: true,
  fresh: false,
  hadPicture: false,
  source: Source.ONLINE,
  problem: null,
  blocked: false,
  browserOffline: false,
};

group('words', () => {
  test('have their values filled in, and what is not given stays', () => {
    assert.equal(t('{a} and {b} and {a}', { a: 1, b: '{a}' }), '1 and {a} and 1');
    assert.equal(t('{a} and {b}', { a: 0 }), '0 and {b}');
    assert.equal(t('constructor'), 'constructor');
  });
});

group('the state that is shown', () => {
  const cases = [
    ['connecting at first', { linked: false, reachable: false }, 'connecting', 'Connecting'],
    ['reconnecting after a picture', { linked: false, hadPicture: true }, 'connecting', 'Reconnecting'],
    ['unreachable after three seconds', { linked: false, reachable: false, unlinkedFor: 3000 }, 'unreachable'],
    ['unreachable at once when the browser is offline', { linked: false, browserOffline: true }, 'unreachable'],
    ['waiting when only the gateway is down', { linked: false, unlinkedFor: 9000 }, 'waiting'],
    ['waiting for the first picture', {}, 'waiting', 'Waiting for the first picture'],
    ['waiting for a picture that was there', { hadPicture: true }, 'waiting', 'Waiting for the picture'],
    ['waiting when capture cannot be asked', { source: Source.UNKNOWN }, 'waiting'],
    ['waiting when capture is down', { source: Source.DOWN }, 'waiting'],
    ['live when frames keep coming without capture', { fresh: true, source: Source.DOWN }, 'live'],
    ['live with fresh frames', { fresh: true }, 'live', 'Live'],
    ['live while only signalling is lost', { fresh: true, linked: false, unlinkedFor: 9000 }, 'live'],
    ['live when capture cannot be asked', { fresh: true, source: Source.UNKNOWN }, 'live'],
    ['live when capture has not counted yet', { fresh: true, source: Source.SILENT }, 'live'],
    ['no signal without frames', { source: Source.OFFLINE }, 'no-signal', 'No signal'],
    ['no signal with blank frames', { source: Source.OFFLINE, fresh: true }, 'no-signal'],
    ['no signal when nothing is captured', { source: Source.SILENT }, 'no-signal'],
  ];
  for (const [name, facts, state, title] of cases) {
    test(name, () => {
      const shown = describe({ ...calm, ...facts });
      assert.equal(shown.state, state);
      if (title) assert.equal(shown.title, title);
    });
  }

  for (const [facts, words] of [
    [{ linked: false }, /^$/],
    [{ linked: false, hadPicture: true }, /last picture received/],
    [{ linked: false, browserOffline: true }, /This computer is offline/],
    [{ linked: false, reachable: false, unlinkedFor: 3000 }, /Still trying/],
    [{ linked: false, unlinkedFor: 9000 }, /its video service does not/],
    [{ source: Source.DOWN }, /its capture service does not/],
    [{}, /Its video is starting/],
  ]) {
    test(`says ${words} of ${JSON.stringify(facts)}`, () => {
      assert.match(describe({ ...calm, ...facts }).detail, words);
    });
  }

  const unsupported = { state: 'too_large', title: 'Mode not supported', words: 'The computer sends more.' };
  test('what comes over the video cable is said in the words of the device', () => {
    const shown = describe({ ...calm, source: Source.OFFLINE, signal: unsupported });
    assert.deepEqual(shown, { state: 'no-signal', title: 'Mode not supported', detail: 'The computer sends more.' });
    assert.match(describe({ ...calm, source: Source.OFFLINE, signal: null }).detail, /off or asleep/);
  });

  test('a picture that is too large for the encoder is said, whatever becomes of the capture service meanwhile', () => {
    const signal = { state: 'not_encoded', title: 'Mode not supported', words: 'The picture is 2560 x 1440.' };
    for (const source of Object.values(Source)) {
      const { state, detail } = describe({ ...calm, source, signal });
      assert.deepEqual([state, detail], ['no-signal', 'The picture is 2560 x 1440.'], source);
    }
    assert.equal(describe({ ...calm, fresh: true, signal }).state, 'live');
  });

  test('a computer whose picture fits is no missing signal', () => {
    const signal = { state: 'present', title: 'The computer sends a picture', words: 'It fits.' };
    const { state, detail } = describe({ ...calm, source: Source.OFFLINE, signal });
    assert.deepEqual([state, detail], ['waiting', 'It fits.']);
  });

  test('an unknown problem is shown in the words of the device, or by its number', () => {
    const { detail } = describe({ ...calm, problem: { code: 505, text: 'unknown layout 11' } });
    assert.equal(detail, 'The device says: unknown layout 11');
    assert.equal(describe({ ...calm, problem: { code: 505, text: '' } }).detail, 'The device says: error 505');
  });

  test('a browser that starts no picture by itself asks for a click', () => {
    const { state, detail } = describe({ ...calm, blocked: true });
    assert.equal(state, 'waiting');
    assert.match(detail, /Click the page/);
  });

  test('a picture that is merely not there yet is no problem', () => {
    const { detail } = describe({ ...calm, problem: { code: 503, text: "Haven't received SPS/PPS" } });
    assert.doesNotMatch(detail, /SPS/);
  });
});

group('the signal, from the capture service', () => {
  const answer = (source) => ({ ok: true, result: { source } });
  test('is read from its answer', () => {
    assert.equal(interpretSource(answer({ online: true, captured_fps: 30 })), Source.ONLINE);
    assert.equal(interpretSource(answer({ online: true, captured_fps: 0 })), Source.SILENT);
    assert.equal(interpretSource(answer({ online: false, captured_fps: 0 })), Source.OFFLINE);
  });

  for (const strange of [null, {}, [], 'x', { result: null }, answer({}), answer({ online: 'yes' })]) {
    test(`is unknown after ${JSON.stringify(strange)}`, () => {
      assert.equal(interpretSource(strange), Source.UNKNOWN);
    });
  }

  test('is told in words, or not at all', async () => {
    const words = { state: 'asleep', title: 'No signal', words: 'It sleeps.' };
    const fetch = () => Promise.resolve(Response.json(words));
    assert.deepEqual(await askSignal('/', { fetch }), words);
    const fails = [
      () => Promise.reject(new TypeError('no network')),
      () => Promise.resolve(new Response('<html>')),
      () => Promise.resolve(Response.json(words, { status: 502 })),
    ];
    for (const refused of fails) assert.equal(await askSignal('/', { fetch: refused }), null);
  });

  test('is unknown when nobody answers, or not with JSON', async () => {
    const fails = [() => Promise.reject(new TypeError('no network')), () => Promise.resolve(new Response('<html>'))];
    for (const fetch of fails) assert.equal(await askSource('/', { fetch }), Source.UNKNOWN);
  });

  test('is down when the device answers for a capture service that does not', async () => {
    const fetch = () => Promise.resolve(new Response('bad gateway', { status: 502 }));
    assert.equal(await askSource('/', { fetch }), Source.DOWN);
  });

  test('is unknown when the device could not say who asks', async () => {
    const fetch = () => Promise.resolve(new Response('error', { status: 500 }));
    assert.equal(await askSource('/', { fetch }), Source.UNKNOWN);
  });

  test('is believed at once when nothing else is known', () => {
    const source = new SourceWatch();
    source.note(0, Source.OFFLINE);
    assert.equal(source.state, Source.OFFLINE);
  });

  test('is not believed to be gone while the capture service starts', () => {
    const source = new SourceWatch();
    source.note(0, Source.UNKNOWN);
    source.note(500, Source.OFFLINE);
    source.note(2500, Source.OFFLINE);
    assert.equal(source.state, Source.UNKNOWN);
    source.note(3000, Source.OFFLINE);
    assert.equal(source.state, Source.OFFLINE);
  });

  test('is believed to be gone only after a while, and to be back at once', () => {
    const source = new SourceWatch();
    source.note(0, Source.ONLINE);
    source.note(500, Source.OFFLINE);
    assert.equal(source.state, Source.ONLINE);
    source.note(1100, Source.OFFLINE);
    assert.equal(source.state, Source.OFFLINE);
    assert.ok(source.isOff);
    source.note(1200, Source.ONLINE);
    assert.equal(source.state, Source.ONLINE);
  });

  test('is believed to be on again before its frames are counted', () => {
    const source = new SourceWatch();
    source.note(0, Source.OFFLINE);
    source.note(500, Source.SILENT);
    assert.equal(source.state, Source.SILENT);
    source.note(600, Source.OFFLINE);
    assert.equal(source.state, Source.SILENT);
  });
});

group('freshness of frames', () => {
  test('nothing is fresh before the first frame', () => {
    assert.equal(new FrameWatch().isFresh(0), false);
  });

  test('30 frames a second are missed after a second', () => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 1000; now += 33) frames.note(now);
    assert.equal(frames.isFresh(1900), true);
    assert.equal(frames.isFresh(2100), false);
  });

  test('one frame a second is not missed after one and a half', () => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 5000; now += 1000) frames.note(now);
    assert.equal(frames.isFresh(6500), true);
    assert.equal(frames.isFresh(8100), false);
  });

  test('an interruption is no rhythm', () => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 1000; now += 33) frames.note(now);
    frames.note(20000);
    assert.equal(frames.patience, 1000);
  });

  test('no new frames are no news', () => {
    const frames = new FrameWatch();
    frames.note(0, 3);
    frames.note(5000, 0);
    assert.equal(frames.isFresh(5000), false);
  });

  for (const span of [1003, 2003]) {
    test(`frames counted once in ${span} ms stay fresh until the counts end`, () => {
      const frames = new FrameWatch();
      for (let k = 0; k < 60; k += 1) {
        frames.note(k * span, 30, span);
        if (k === 0) continue;
        assert.equal(frames.isFresh(k * span), true);
        assert.equal(frames.isFresh((k + 1) * span - 1, { patience: 500 }), true);
      }
      assert.equal(frames.isFresh(59 * span + 2.5 * span), false);
    });
  }

  test('patience is three gaps, within bounds, and one long gap is an interruption', () => {
    const patienceAt = (...times) => {
      const frames = new FrameWatch();
      for (const now of times) frames.note(now);
      return frames.patience;
    };
    assert.equal(patienceAt(0, 100), 1000);
    assert.equal(patienceAt(0, 500), 1500);
    assert.equal(patienceAt(0, 1200), 3000);
    // A tenth of what is new.
    assert.equal(patienceAt(0, 400, 1900), 1530);
    assert.equal(patienceAt(0, 400, 1901), 1200);
    assert.equal(patienceAt(0, 9000, 9500), 3000);
    const frames = new FrameWatch();
    frames.note(0, 30);
    frames.note(15000, 30);
    assert.equal(frames.patience, 1500);
    frames.reset();
    assert.equal(frames.patience, 1000);
  });

  test('counts of nothing change nothing', () => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 990; now += 33) frames.note(now);
    frames.note(1900, 0);
    assert.equal(frames.isFresh(1989), true);
    assert.equal(frames.isFresh(1990), false);
  });

  for (const [what, before, after] of [
    ['both', 1000, 1000],
    ['the first', 1000, 0],
    ['the second', 0, 1000],
  ]) {
    test(`a run goes on for twice the time that ${what} of two counts covers`, () => {
      for (const [age, goesOn] of [
        [1999, true],
        [2000, false],
      ]) {
        const frames = new FrameWatch();
        frames.note(0, 30, before);
        frames.note(1000, 30, before);
        frames.note(1000 + age, 30, after);
        assert.equal(frames.isFresh(1000 + age), goesOn);
      }
    });
  }

  test('a run of frames that are seen ends with their patience', () => {
    for (const [age, goesOn] of [
      [999, true],
      [1000, false],
    ]) {
      const frames = new FrameWatch();
      for (let now = 0; now <= 990; now += 33) frames.note(now);
      frames.note(990 + age);
      assert.equal(frames.isFresh(990 + age), goesOn);
    }
  });

  test('what was counted is fresh for two and a half of the time that it covers', () => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 3000; now += 1000) frames.note(now, 30, 1000);
    assert.equal(frames.isFresh(3000 + 2499), true);
    assert.equal(frames.isFresh(3000 + 2500), false);
  });

  test('a page that is looked at again has missed nothing', () => {
    const frames = new FrameWatch();
    for (let k = 0; k < 10; k += 1) frames.note(k * 1003, 30, 1003);
    frames.note(10 * 1003);
    assert.equal(frames.isFresh(10 * 1003), true);
    assert.equal(frames.isFresh(11 * 1003), false);
  });
});

group('one frame alone', () => {
  test('is not live: it may be an old one', () => {
    const frames = new FrameWatch();
    frames.note(0);
    assert.equal(frames.isFresh(10), false);
    frames.note(50);
    assert.equal(frames.isFresh(50), false);
    frames.note(120);
    assert.equal(frames.isFresh(120), true);
  });

  test('a longer run can be asked for', () => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 1000; now += 33) frames.note(now);
    assert.equal(frames.isFresh(1000, { run: 1500 }), false);
    for (let now = 1023; now <= 2000; now += 33) frames.note(now);
    assert.equal(frames.isFresh(2000, { run: 1500 }), true);
  });

  test('nor is it after an interruption', () => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 1000; now += 33) frames.note(now);
    frames.note(9000);
    assert.equal(frames.isFresh(9000), false);
    frames.note(9033);
    frames.note(9100);
    assert.equal(frames.isFresh(9100), true);
  });
});

group('a stream that has lost a frame', () => {
  // 30 frames a second, counted each second; a key frame each `seconds`.
  const streamed = (seconds) => {
    const frames = new FrameWatch();
    for (let now = 0; now <= 20000; now += 33) frames.note(now);
    for (let now = 0; now <= 20; now += seconds) frames.noteKeyFrames(1000 * now, 1);
    return frames;
  };

  test('may resume with the next key frame', () => {
    assert.equal(streamed(1).mayResume(20000 + 2900), true);
    assert.equal(streamed(1).mayResume(20000 + 3100), false);
    assert.equal(streamed(5).mayResume(20000 + 5900), true);
    assert.equal(streamed(5).mayResume(20000 + 6100), false);
  });

  test('is not helped by a count without a key frame', () => {
    const frames = streamed(1);
    frames.noteKeyFrames(20500, 0);
    assert.equal(frames.mayResume(20000 + 3100), false);
  });

  test('is given up when the next key frame and a second have passed', () => {
    const frames = new FrameWatch();
    frames.note(0);
    assert.equal(frames.mayResume(2999), true);
    assert.equal(frames.mayResume(3000), false);
  });

  test('is given up in the end, however rare its key frames are', () => {
    assert.equal(streamed(20).mayResume(20000 + 9900), true);
    assert.equal(streamed(20).mayResume(20000 + 10100), false);
  });

  test('several key frames in one count are as near to each other as they are', () => {
    const frames = streamed(5);
    frames.noteKeyFrames(24000, 2);
    frames.note(24000);
    assert.equal(frames.mayResume(24000 + 3100), false);
  });

  test('tells nothing of the next connection', () => {
    const frames = streamed(5);
    frames.reset();
    assert.equal(frames.mayResume(20000), false);
    frames.note(20000);
    frames.noteKeyFrames(20000, 1);
    assert.equal(frames.mayResume(20000 + 2900), true);
    assert.equal(frames.mayResume(20000 + 3100), false);
  });

  test('has a key frame of the connection before as none of its own', () => {
    const frames = streamed(5);
    frames.reset();
    frames.noteKeyFrames(27000, 1);
    frames.note(27000);
    assert.equal(frames.mayResume(27000 + 3100), false);
  });
});

group('recovery while signalling is up', () => {
  const missing = { fresh: false, expecting: true, mediaUp: true };
  // The last remedy of this time, asked for as often as the page does.
  const ask = (recovery, from, to, facts) => {
    let last = Remedy.NONE;
    for (let now = from; now <= to; now += 200) last = recovery.next(now, facts) ?? last;
    return last;
  };

  test('does nothing while frames come, or none can be expected', () => {
    const recovery = new Recovery();
    for (const facts of [
      { ...missing, fresh: true },
      { ...missing, expecting: false },
    ]) {
      assert.equal(recovery.next(0, facts), Remedy.NONE);
      assert.equal(recovery.next(60000, facts), Remedy.NONE);
    }
  });

  test('watches again, then builds anew, more slowly', () => {
    const recovery = new Recovery();
    const seen = [];
    for (let now = 0; now <= 40000; now += 200) {
      const remedy = recovery.next(now, missing);
      if (remedy) seen.push([now, remedy]);
    }
    assert.deepEqual(seen, [
      [4000, 'watch'],
      [8000, 'rebuild'],
      [16000, 'rebuild'],
      [24000, 'rebuild'],
      [32000, 'rebuild'],
      [40000, 'rebuild'],
    ]);
  });

  test('builds anew at once when the media connection is gone', () => {
    const recovery = new Recovery();
    ask(recovery, 0, 3800, missing);
    assert.equal(recovery.next(4000, { ...missing, mediaUp: false }), Remedy.REBUILD);
  });

  test('starts over after fresh frames', () => {
    const recovery = new Recovery();
    assert.equal(ask(recovery, 0, 4000, missing), Remedy.WATCH);
    ask(recovery, 4200, 10000, { ...missing, fresh: true });
    assert.equal(ask(recovery, 10200, 13800, missing), Remedy.NONE);
    assert.equal(recovery.next(14000, missing), Remedy.WATCH);
  });

  test('forgets a short interruption after a steady picture, or while none can be expected', () => {
    for (const between of [
      { ...missing, fresh: true },
      { ...missing, expecting: false },
    ]) {
      const recovery = new Recovery();
      ask(recovery, 0, 3000, missing);
      ask(recovery, 3200, 9000, between);
      assert.equal(ask(recovery, 9200, 12000, missing), Remedy.NONE);
    }
  });

  test('leaves a source alone that goes after a watch that has helped', () => {
    const recovery = new Recovery();
    assert.equal(ask(recovery, 0, 4000, missing), Remedy.WATCH);
    ask(recovery, 4200, 10000, { ...missing, fresh: true });
    assert.equal(ask(recovery, 10200, 60000, { ...missing, expecting: false }), Remedy.NONE);
  });

  test('counts no time in which nobody asked, because there was no link', () => {
    const recovery = new Recovery();
    ask(recovery, 0, 1000, missing);
    assert.equal(recovery.next(60000, missing), Remedy.NONE);
    assert.equal(ask(recovery, 60200, 62000, missing), Remedy.WATCH);
  });

  test('is not put off by a picture that comes again and again, and never stays', () => {
    const recovery = new Recovery();
    const seen = [];
    // A browser that misses a key frame asks for one, and the plugin plays what it remembers.
    for (let now = 0; now <= 30000; now += 200) {
      const remedy = recovery.next(now, { ...missing, fresh: now % 3600 < 1200 });
      if (remedy) seen.push(remedy);
    }
    assert.deepEqual(seen.slice(0, 2), ['watch', 'rebuild']);
  });

  test('builds anew after a watch in vain, also while the source comes and goes', () => {
    const recovery = new Recovery();
    const seen = [];
    for (let now = 0; now <= 60000; now += 200) {
      const comesAndGoes = now <= 12000 && now % 3000 < 1500;
      const remedy = recovery.next(now, { ...missing, expecting: now <= 4000 || comesAndGoes });
      if (remedy) seen.push([now, remedy]);
    }
    // Once: without a signal no new session helps.
    assert.deepEqual(seen, [
      [4000, 'watch'],
      [8000, 'rebuild'],
    ]);
  });

  test('is not fooled by what the plugin remembers', () => {
    const recovery = new Recovery();
    const seen = [];
    let freshUntil = 0; // each remedy brings the remembered frames, and no other
    for (let now = 0; now <= 40000; now += 200) {
      const remedy = recovery.next(now, { ...missing, fresh: now < freshUntil });
      if (!remedy) continue;
      seen.push(remedy);
      freshUntil = now + 4000;
    }
    assert.deepEqual(seen, ['watch', 'rebuild', 'rebuild', 'rebuild']);
  });
});

group('backoff', () => {
  test('grows to its cap and starts over', () => {
    const backoff = new Backoff({ first: 100, factor: 2, cap: 500, random: () => 0.5 });
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => backoff.next()),
      [100, 200, 400, 500, 500],
    );
    backoff.reset();
    assert.equal(backoff.next(), 100);
  });

  test('is a tenth of a second at first, and one at last', () => {
    const backoff = new Backoff({ random: () => 0.5 });
    const pauses = Array.from({ length: 8 }, () => backoff.next());
    assert.deepEqual(pauses, [150, 210, 294, 412, 576, 807, 1000, 1000]);
    assert.equal(new Backoff({ random: () => 1 }).next(), 180);
  });

  test('differs from page to page', () => {
    const at = (value) => new Backoff({ first: 100, jitter: 0.2, random: () => value }).next();
    assert.deepEqual([at(0), at(1)], [80, 120]);
  });
});

group('settings that were typed', () => {
  const bitrate = { name: 'bitrate', kind: 'integer', minimum: '25', maximum: '20000' };
  const gop = { name: 'gop', kind: 'integer', minimum: '0', maximum: '60' };
  const typedInto = (field, text) => readFields([{ ...field, text }]);

  test('are numbers, and nothing typed means the default', () => {
    assert.deepEqual(
      readFields([
        { ...bitrate, text: ' 8000 ' },
        { ...gop, text: '' },
      ]),
      { changes: { bitrate: 8000, gop: null } },
    );
    assert.deepEqual(typedInto(gop, '0'), { changes: { gop: 0 } });
    assert.deepEqual(typedInto(gop, '60'), { changes: { gop: 60 } });
  });

  for (const text of ['24', '20001', '5000.5', '5e3', '-25', '0x20', 'many', '５０００'])
    test(`${text} is none`, () =>
      assert.deepEqual(
        readFields([
          { ...gop, text: '1' },
          { ...bitrate, text },
        ]),
        { wrong: 'bitrate' },
      ));

  test('are texts, and lists of texts', () => {
    assert.deepEqual(typedInto({ name: 'host', kind: 'string' }, ' rack 7 '), { changes: { host: 'rack 7' } });
    assert.deepEqual(typedInto({ name: 'names', kind: 'array' }, ' a b \r\n\nc\n'), {
      changes: { names: ['a b', 'c'] },
    });
    assert.deepEqual(typedInto({ name: 'names', kind: 'array' }, '\n'), { changes: { names: null } });
  });

  const sent = (typed) => {
    const { tinypilot_ice_servers: servers, ...credentials } = JSON.parse(JSON.stringify(readIce(typed)));
    return [servers, ...['secret', 'user', 'password'].map((name) => credentials[`tinypilot_turn_${name}`])];
  };
  const typed = { servers: ' stun:a \r\n\nturn:b', secret: 'one', user: 'ada', password: 'two' };

  for (const [way, changes] of [
    ['', [null, null, null, null]],
    ['none', [[], '', '', '']],
    ['stun', [['stun:a', 'turn:b'], '', '', '']],
    ['secret', [['stun:a', 'turn:b'], 'one', '', '']],
    ['login', [['stun:a', 'turn:b'], '', 'ada', 'two']],
  ])
    test(`are STUN and TURN servers, way "${way}"`, () => assert.deepEqual(sent({ ...typed, way }), changes));

  test('are a certificate and its key, both or none', () => {
    const read = (chain, key, whose = 'own') => readCertificate({ whose, chain, key });
    assert.deepEqual(read('chain', 'key'), { pem: 'chain\nkey\n' });
    assert.deepEqual([read('chain', ''), read('', 'key')], [{ missing: true }, { missing: true }]);
    assert.deepEqual(read('', '', ''), { pem: null });
  });

  test('are no new secret or password where none was typed', () => {
    const nothing = { ...typed, secret: '', password: '' };
    assert.deepEqual(sent({ ...nothing, way: 'secret' }), [['stun:a', 'turn:b'], undefined, '', '']);
    assert.deepEqual(sent({ ...nothing, way: 'login' }), [['stun:a', 'turn:b'], '', 'ada', undefined]);
  });

  test('are an EDID, binary or as hexadecimal text', () => {
    assert.equal(readEdid(new Uint8Array([0, 255, 255, 10])), '00ffff0a');
    assert.equal(readEdid(new TextEncoder().encode('00 FF\nff\t0A\r\n')), '00ffff0a');
    assert.equal(readEdid(new Uint8Array([0, 255, 0])), '00ff00');
    assert.equal(readEdid(new TextEncoder().encode('0x00, 0xFF,\n0xFF; 0x0A')), '00ffff0a');
    // What begins otherwise is for the device to refuse.
    assert.equal(readEdid(new Uint8Array([0, 48, 48])), '00');
    assert.equal(readEdid(new Uint8Array([48, 255, 48])), '0\ufffd0');
    assert.equal(readEdid(new TextEncoder().encode(' \n')), ' \n');
  });

  test('an EDID is taken in the forms in which programs write it', () => {
    const bytes = Array.from({ length: 128 }, (_, at) => (at < 8 ? (at % 7 ? 255 : 0) : (at * 37) % 256));
    const pairs = bytes.map((each) => each.toString(16).padStart(2, '0'));
    const lines = (write) =>
      Array.from({ length: 8 }, (_, row) => write(pairs.slice(16 * row, 16 * row + 16), row)).join('\n');
    const offset = (row, digits) => (16 * row).toString(16).padStart(digits, '0');
    const inPairs = (each) => each.join('').replace(/.{4}/g, '$& ');
    const forms = {
      xxd: lines((each, row) => `${offset(row, 8)}: ${inPairs(each)} .fa0..12 beef...`),
      hexdump: `${lines((each, row) => `${offset(row, 8)}  ${each.join(' ')}  |.fa0..12 beef...|`)}\n00000080\n`,
      od: `${lines((each, row) => `${(16 * row).toString(8).padStart(7, '0')} ${each.join(' ')}`)}\n0000200\n`,
      groups: lines((each) => each.join('').replace(/.{8}/g, '$& ')),
      c: `unsigned char edid_bin[] = {\n${pairs.map((each) => `0x${each}`).join(', ')}\n};\nunsigned int len = 128;\n`,
      edidDecode: `edid-decode (hex):\n\n${lines((each) => each.join(' '))}\n\n-----\n\nBlock 0, Base EDID:\n  DTD 1: 60 Hz`,
      xrandr: `\tEDID: \n${lines((each) => `\t\t${each.join('')}`)}\n`,
      escapes: pairs.map((each) => `\\x${each}`).join(''),
      colons: pairs.join(':'),
      dashes: pairs.join('-'),
      assembler: pairs.map((each) => `${each.toUpperCase()}h`).join(' '),
      quotes: `"${pairs.join('')}"`,
      registry: `"EDID"=hex:${pairs.join(',')}`,
      comments: `# a monitor\n${lines((each) => `${each.join(' ')} // of a desk`)}`,
      nul: `${pairs.join('')}\0`,
    };
    for (const [form, text] of Object.entries(forms))
      assert.equal(readEdid(new TextEncoder().encode(text)), pairs.join(''), form);
  });

  test('an EDID is found by its checksum in what else programs write', () => {
    const bytes = Array.from({ length: 127 }, (_, at) => (at < 8 ? (at % 7 ? 255 : 0) : (at * 37) % 256));
    bytes.push(-bytes.reduce((sum, each) => sum + each, 0) & 255);
    const pairs = bytes.map((each) => each.toString(16).padStart(2, '0'));
    const lines = (write) =>
      Array.from({ length: 8 }, (_, row) => write(pairs.slice(16 * row, 16 * row + 16), row)).join('\n');
    const place = (row, digits) => (16 * row).toString(16).padStart(digits, '0');
    const words = (each) => each.join('').replace(/(..)(..)/g, ' $2$1');
    const columns = Array.from({ length: 16 }, (_, at) => at.toString(16).padStart(2, '0'));
    const coded = btoa(String.fromCharCode(...bytes));
    const forms = {
      i2cdump: `     ${columns.join('  ')}    0123456789abcdef\n${lines((each, row) => `${place(row, 2)}: ${each.join(' ')}    .fa0..12 beef...`)}`,
      table: `EDID BYTES:\n0x   ${columns.join(' ')}\n    -----\n${lines((each, row) => `${place(row, 2)} | ${each.join(' ')}`)}`,
      log: lines((each) => `[    21.345] (II) modeset(0): \t${each.join('')}`),
      ioreg: `    | |   "IODisplayEDID" = <${pairs.join('')}>\n    | |   "IODisplayPrefsKey" = "AppleACPI"`,
      yaml: `edid: "${pairs.join('')}"`,
      hexdump: `${lines((each, row) => `${place(row, 7)}${words(each)}`)}\n0000080\n`,
      powershell: `BlockContent : {${bytes.join(', ')}}`,
      powershellLines: bytes.join('\r\n'),
      json: JSON.stringify(bytes),
      python: `[${bytes.map((each) => `0x${each.toString(16)}`).join(', ')}]`,
      quoted: `"${bytes.join('","')}"`,
      base64: coded,
      plist: `<key>DisplayEDID</key>\n<data>\n${coded.replace(/.{52}/g, '$&\n')}\n</data>`,
      printf: `printf '${pairs.map((each) => `\\x${each}`).join('')}' > edid.bin`,
      cells: `| | ${columns.join(' | ')} |\n${lines((each, row) => `| ${place(row, 2)} | ${each.join(' | ')} |`)}`,
      html: `<pre>${lines((each) => each.join('&nbsp;'))}</pre>`,
      odDecimal: lines((each, row) => `${String(16 * row).padStart(7, '0')} ${each.join(' ')}`),
      formatHex: `          Offset Bytes\n                 ${columns.join(' ')}\n${lines((each, row) => `${place(row, 16)} ${each.join(' ')} .fafade..beef`)}`,
      commentsBefore: lines((each, row) => `/* ${place(row, 2)} */ ${each.map((one) => `0x${one}`).join(', ')},`),
      verilog: pairs.map((each) => `8'h${each}`).join('\n'),
      signed: `[${bytes.map((each) => (each > 127 ? each - 256 : each)).join(', ')}]`,
      pythonBytes: `b'${bytes.map((each) => (/[\w ]/.test(String.fromCharCode(each)) ? String.fromCharCode(each) : `\\x${each.toString(16).padStart(2, '0')}`)).join('')}'`,
      octal: `"${bytes.map((each) => `\\${each.toString(8).padStart(3, '0')}`).join('')}"`,
      tableOfHtml: lines((each) => `<tr>${each.map((one) => `<td>${one}</td>`).join('')}</tr>`),
      intelHex: `${lines((each, row) => `:1000${place(row, 2)}00${each.join('').toUpperCase()}5A`)}\n:00000001FF`,
      displays: `DP-1\n${lines((each) => each.join(''))}\nHDMI-1\n${lines((each) => each.join(''))}`,
    };
    for (const [form, text] of Object.entries(forms))
      assert.equal(readEdid(new TextEncoder().encode(text)), pairs.join(''), form);
    const blocks = [0, 1].map((number) => `HKR,EDID_OVERRIDE,"${number}",0x01,${pairs.map((each) => `0x${each}`)}`);
    const inf = `[AddReg]\r\n${blocks.join('\r\n')}\r\n`;
    assert.equal(readEdid(new TextEncoder().encode(inf)), pairs.join(''), 'INF of two like displays');
    // A damaged one is said to be that by the device.
    pairs[20] = '00';
    assert.equal(readEdid(new TextEncoder().encode(`edid: <${pairs.join('')}>`)).includes(pairs.join('')), true);
    for (const odd of ['AP///////w=A', '0 255 255 255 255 255 255 0'])
      assert.equal(readEdid(new TextEncoder().encode(odd)).startsWith('00ffffffffffff00'), false);
  });

  test('lines that a dump leaves out are those before', () => {
    const row = (byte) => Array(16).fill(byte).join(' ');
    const dump = (base) => {
      const at = (place) => place.toString(base).padStart(8, '0');
      return `${at(0)} ${row('0a')}\n${at(16)} ${row('00')}\n*\n${at(64)} ${row('0b')}\n${at(80)}\n`;
    };
    const wanted = ['0a', '00', '00', '00', '0b'].map((each) => each.repeat(16)).join('');
    for (const base of [16, 8]) assert.equal(readEdid(new TextEncoder().encode(dump(base))), wanted);
  });

  test('a text in UTF-16 is read as such', () => {
    const units = (text, place) =>
      [...`\ufeff${text}`].flatMap((each) => {
        const unit = [each.charCodeAt(0) & 255, each.charCodeAt(0) >> 8];
        return place ? unit.reverse() : unit;
      });
    for (const isBigEndian of [false, true]) {
      const bytes = new Uint8Array(units('00 ff ff', isBigEndian));
      for (const each of [bytes, bytes.slice(2)]) {
        assert.equal(readText(each), '00 ff ff');
        assert.equal(readEdid(each), '00ffff');
      }
    }
  });

  test('a display mode is told in words, and what the device can not take', () => {
    const mode = { width: 1920, height: 1080, rate_hz: 60, interlaced: false, fits: null };
    assert.equal(describeMode(mode), '1920 × 1080, 60 Hz');
    assert.equal(describeMode({ ...mode, fits: true }), '1920 × 1080, 60 Hz');
    assert.equal(describeMode({ ...mode, fits: false }), '1920 × 1080, 60 Hz: more than this device can take');
    assert.equal(describeMode({ ...mode, interlaced: true }), '1920 × 1080, 60 Hz, interlaced');
  });
});
