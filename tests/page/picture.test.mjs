// SPDX-License-Identifier: MIT
// The picture: what is decided without a browser.
import assert from 'node:assert/strict';
import { describe as group, test } from 'node:test';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { describeTransport, Transport, TransportChoice, Reason } = await import(new URL('transport.js', BASE));
const { describeStats, DeviceClock, StreamRates } = await import(new URL('stats.js', BASE));
const { fileName, save, screenshot } = await import(new URL('recording.js', BASE));

group('the video transport', () => {
  const good = {
    hindrance: null,
    fresh: true,
    canWebCodecs: false,
    webCodecsFresh: false,
    mjpegFresh: false,
    reachable: true,
    expectsPicture: true,
    linked: true,
    unlinkedFor: 0,
    problem: null,
    mediaUp: true,
    blocked: false,
  };
  const silent = { ...good, fresh: false, mediaUp: false };

  // Tells the facts each 200 ms, as the page does, from `from` until `to`.
  const tell = (choice, facts, from, to) => {
    for (let now = from; now <= to; now += 200) choice.next(now, facts);
    return choice.current;
  };

  // A choice that has fallen back for want of a connection.
  const fallenBack = () => {
    const choice = new TransportChoice();
    tell(choice, silent, 0, 4000);
    assert.equal(choice.current, Transport.MJPEG);
    return choice;
  };

  test('is WebRTC while its frames come', () => {
    assert.equal(tell(new TransportChoice(), good, 0, 60000), Transport.WEBRTC);
  });

  test('becomes MJPEG when nothing comes, later for a picture that is being opened', () => {
    const opening = new TransportChoice();
    assert.equal(tell(opening, silent, 0, 2400), Transport.WEBRTC);
    assert.equal(tell(opening, silent, 2600, 2600), Transport.MJPEG);
    const lost = new TransportChoice();
    tell(lost, good, 0, 1000);
    assert.equal(tell(lost, silent, 1200, 2000), Transport.WEBRTC);
    assert.equal(tell(lost, silent, 2200, 2200), Transport.MJPEG);
  });

  test('an interruption that heals by itself changes nothing', () => {
    const choice = new TransportChoice();
    for (let now = 0; now < 60000; now += 1000) {
      tell(choice, silent, now, now + 600);
      assert.equal(tell(choice, good, now + 800, now + 800), Transport.WEBRTC);
    }
  });

  test('stays MJPEG while WebRTC brings only what the plugin remembers', () => {
    const choice = fallenBack();
    for (let now = 4200; now < 60000; now += 4200) {
      assert.equal(tell(choice, { ...good, mjpegFresh: true }, now, now + 1400), Transport.MJPEG);
      assert.equal(choice.reason, Reason.NO_CONNECTION);
      assert.equal(tell(choice, { ...silent, mjpegFresh: true }, now + 1600, now + 4000), Transport.MJPEG);
    }
    assert.equal(tell(choice, { ...good, mjpegFresh: true }, 60000, 61600), Transport.WEBRTC);
  });

  for (const nothing of [{ reachable: false }, { expectsPicture: false }]) {
    test(`does not change where no path helps: ${JSON.stringify(nothing)}`, () => {
      assert.equal(tell(new TransportChoice(), { ...silent, ...nothing }, 0, 60000), Transport.WEBRTC);
      const choice = fallenBack();
      assert.equal(tell(choice, { ...silent, ...nothing, mjpegFresh: true }, 4200, 4200), Transport.MJPEG);
      assert.equal(tell(choice, { ...silent, ...nothing }, 4400, 4400), Transport.WEBRTC);
      // And what comes back first is given the time that it needs.
      assert.equal(tell(choice, silent, 4600, 6800), Transport.WEBRTC);
    });

    test(`has its whole patience again after that: ${JSON.stringify(nothing)}`, () => {
      const choice = new TransportChoice();
      tell(choice, silent, 0, 2000);
      tell(choice, { ...silent, ...nothing }, 2200, 4000);
      assert.equal(tell(choice, silent, 4200, 6600), Transport.WEBRTC);
    });
  }

  test('can be pinned, both ways', () => {
    const choice = new TransportChoice();
    choice.pin = Transport.WEBRTC;
    assert.equal(tell(choice, silent, 0, 60000), Transport.WEBRTC);
    choice.pin = Transport.MJPEG;
    assert.equal(tell(choice, good, 0, 1000), Transport.MJPEG);
    assert.equal(choice.reason, Reason.PINNED);
    choice.pin = null;
    assert.equal(tell(choice, good, 1200, 2600), Transport.WEBRTC);
    assert.equal(choice.reason, null);
  });

  test('is MJPEG at once in a browser without WebRTC, whatever is pinned', () => {
    const choice = new TransportChoice();
    choice.pin = Transport.WEBRTC;
    assert.equal(tell(choice, { ...silent, hindrance: Reason.NO_WEBRTC }, 0, 0), Transport.MJPEG);
    assert.equal(choice.reason, Reason.NO_WEBRTC);
  });

  const reasons = [
    [{}, Reason.NO_CONNECTION],
    [{ mediaUp: true }, Reason.NO_FRAMES],
    [{ problem: { code: 503, text: '' } }, Reason.NO_OFFER],
    [{ problem: { code: 490, text: '' } }, Reason.NO_GATEWAY],
    [{ linked: false, unlinkedFor: 3000 }, Reason.NO_GATEWAY],
    [{ linked: false, unlinkedFor: 200 }, Reason.NO_CONNECTION],
    [{ blocked: true }, Reason.BLOCKED],
  ];
  for (const [facts, reason] of reasons) {
    test(`has the reason ${reason} after ${JSON.stringify(facts)}`, () => {
      const choice = new TransportChoice();
      tell(choice, { ...silent, ...facts }, 0, 3000);
      assert.deepEqual([choice.current, choice.reason], [Transport.MJPEG, reason]);
      const words = describeTransport(choice.current, reason);
      assert.match(words, /^The picture comes as MJPEG\. .*\. WebRTC is retried automatically\.$/);
    });
  }

  test('is not said to be retried where it is not', () => {
    assert.equal(describeTransport(Transport.MJPEG, Reason.PINNED), 'The picture comes as MJPEG. You chose this.');
    assert.match(describeTransport(Transport.MJPEG, Reason.NO_WEBRTC), /has no WebRTC, or it is switched off\.$/);
    assert.match(
      describeTransport(Transport.WEBCODECS, Reason.NO_WEBRTC_H264),
      /^[^.]*H\.264 over a WebSocket\. .*WebRTC\.$/,
    );
  });

  test('keeps its reason while a try begins, and changes it when more is known', () => {
    const choice = fallenBack();
    tell(choice, { ...silent, linked: false, unlinkedFor: 200 }, 4200, 4200);
    assert.equal(choice.reason, Reason.NO_CONNECTION);
    tell(choice, { ...silent, mediaUp: true }, 4400, 4400);
    assert.equal(choice.reason, Reason.NO_FRAMES);
  });

  group('in a browser that decodes H.264', () => {
    const can = { ...silent, canWebCodecs: true };
    const shown = { ...can, webCodecsFresh: true };

    test('is H.264 over a WebSocket as soon as that has a picture, and that is tried early', () => {
      const choice = new TransportChoice();
      tell(choice, can, 0, 1400);
      assert.equal(choice.triesWebCodecs, false);
      assert.equal(tell(choice, can, 1600, 1600), Transport.WEBRTC);
      assert.equal(choice.triesWebCodecs, true);
      assert.equal(tell(choice, shown, 1800, 1800), Transport.WEBCODECS);
      assert.equal(choice.reason, Reason.NO_CONNECTION);
      assert.equal(tell(choice, shown, 2000, 60000), Transport.WEBCODECS);
    });

    test('is tried sooner for a picture that is lost', () => {
      const choice = new TransportChoice();
      tell(choice, { ...good, canWebCodecs: true }, 0, 1000);
      tell(choice, can, 1200, 1600);
      assert.equal(choice.triesWebCodecs, false);
      tell(choice, can, 1800, 1800);
      assert.equal(choice.triesWebCodecs, true);
    });

    test('is WebRTC again when its frames keep coming, and the other is left', () => {
      const choice = new TransportChoice();
      tell(choice, shown, 0, 4000);
      assert.equal(tell(choice, { ...shown, fresh: true }, 4200, 5600), Transport.WEBCODECS);
      assert.equal(tell(choice, { ...shown, fresh: true }, 5800, 5800), Transport.WEBRTC);
      assert.equal(choice.triesWebCodecs, false);
    });

    test('is MJPEG where that brings nothing either, and H.264 as soon as it comes', () => {
      const choice = new TransportChoice();
      assert.equal(tell(choice, can, 0, 2400), Transport.WEBRTC);
      assert.equal(tell(choice, can, 2600, 5400), Transport.WEBCODECS);
      assert.equal(tell(choice, can, 5600, 5600), Transport.MJPEG);
      assert.equal(choice.triesWebCodecs, true);
      assert.equal(tell(choice, { ...can, mjpegFresh: true }, 5800, 60000), Transport.MJPEG);
      assert.equal(tell(choice, { ...shown, mjpegFresh: true }, 60200, 60200), Transport.WEBCODECS);
      // It has its patience again.
      assert.equal(tell(choice, can, 60400, 63200), Transport.WEBCODECS);
      assert.equal(tell(choice, can, 63400, 63400), Transport.MJPEG);
    });

    test('is MJPEG at once where the device has no H.264', () => {
      const choice = new TransportChoice();
      assert.equal(tell(choice, { ...can, problem: { code: 503, text: '' } }, 0, 2600), Transport.MJPEG);
      assert.equal(choice.reason, Reason.NO_OFFER);
      assert.equal(choice.triesWebCodecs, true);
    });

    for (const hindrance of [Reason.NO_WEBRTC, Reason.NO_WEBRTC_H264]) {
      test(`is that at once in a browser that can not otherwise: ${hindrance}`, () => {
        const choice = new TransportChoice();
        assert.equal(tell(choice, { ...can, hindrance }, 0, 0), Transport.WEBCODECS);
        assert.deepEqual([choice.reason, choice.triesWebCodecs], [hindrance, true]);
        assert.equal(choice.usesWebRtc({ ...can, hindrance }), false);
      });
    }

    test('does not change where no way helps', () => {
      const choice = new TransportChoice();
      tell(choice, shown, 0, 4000);
      assert.equal(tell(choice, { ...can, reachable: false }, 4200, 4200), Transport.WEBRTC);
    });

    test('can be pinned to it, and to others', () => {
      const choice = new TransportChoice();
      choice.pin = Transport.WEBCODECS;
      assert.equal(tell(choice, { ...can, fresh: true }, 0, 60000), Transport.WEBCODECS);
      assert.deepEqual([choice.reason, choice.triesWebCodecs], [Reason.PINNED, true]);
      assert.equal(choice.usesWebRtc(can), false);
      for (const pin of [Transport.WEBRTC, Transport.MJPEG]) {
        choice.pin = pin;
        assert.equal(tell(choice, { ...shown, fresh: true }, 60200, 63000), pin);
        assert.equal(choice.triesWebCodecs, false);
        assert.equal(choice.usesWebRtc(can), pin === Transport.WEBRTC);
      }
    });

    test('a pin that this browser can not do is none', () => {
      const choice = new TransportChoice();
      choice.pin = Transport.WEBCODECS;
      assert.equal(tell(choice, good, 0, 2000), Transport.WEBRTC);
      assert.equal(choice.usesWebRtc(good), true);
    });
  });

  test('needs no words while it is WebRTC', () => {
    assert.equal(describeTransport(Transport.WEBRTC, null), '');
  });
});

group('the device tells its time', () => {
  const answer = { askedAt: 1000, heardAt: 1010, rtpTimestamp: 90000, hz: 90000 };

  test('and the age of a frame follows from it', () => {
    const clock = new DeviceClock();
    assert.equal(clock.age({ rtpTimestamp: 90000, at: 1005 }), null);
    clock.note(answer);
    assert.equal(clock.age({ rtpTimestamp: 90000, at: 1005 }), 0);
    assert.equal(clock.age({ rtpTimestamp: 90000 - 1800, at: 1005 }), 20);
    assert.equal(clock.age({ rtpTimestamp: 90000 - 1800, at: 1105 }), 120);
    assert.equal(clock.age({ rtpTimestamp: 0, at: 3005 }), 3000);
  });

  test('also where timestamps begin anew', () => {
    const clock = new DeviceClock();
    clock.note({ ...answer, rtpTimestamp: 900 });
    assert.equal(clock.age({ rtpTimestamp: 2 ** 32 - 900, at: 1005 }), 20);
    // A little ahead: clocks are not exact.
    assert.equal(clock.age({ rtpTimestamp: 990, at: 1005 }), -1);
  });

  test('best by the answer that took least time, for a minute', () => {
    const clock = new DeviceClock();
    clock.note(answer);
    clock.note({ askedAt: 2000, heardAt: 2200, rtpTimestamp: 0, hz: 90000 });
    assert.equal(clock.age({ rtpTimestamp: 90000, at: 1005 }), 0);
    clock.note({ askedAt: 62000, heardAt: 62200, rtpTimestamp: 5000, hz: 90000 });
    assert.equal(clock.age({ rtpTimestamp: 5000, at: 62100 }), 0);
  });

  test('better by an answer that took less time, whenever that comes', () => {
    const clock = new DeviceClock();
    clock.note({ askedAt: 500000, heardAt: 500200, rtpTimestamp: 0, hz: 90000 });
    clock.note({ askedAt: 502000, heardAt: 502010, rtpTimestamp: 90000, hz: 90000 });
    assert.equal(clock.age({ rtpTimestamp: 90000, at: 502005 }), 0);
    clock.note({ askedAt: 504000, heardAt: 504200, rtpTimestamp: 0, hz: 90000 });
    assert.equal(clock.age({ rtpTimestamp: 90000, at: 502005 }), 0);
  });
});

group('statistics', () => {
  const report = (video, candidate) =>
    new Map(
      [
        { id: 'A', type: 'inbound-rtp', kind: 'audio', framesDecoded: 7 },
        { id: 'M', type: 'media-source', kind: 'video', framesDecoded: 7 },
        { id: 'V', type: 'inbound-rtp', kind: 'video', jitter: 0.0025, ...video },
        { id: 'T', type: 'transport', selectedCandidatePairId: 'P' },
        { id: 'P', type: 'candidate-pair', currentRoundTripTime: 0.012, localCandidateId: 'L' },
        {
          id: 'L',
          type: 'local-candidate',
          candidateType: 'relay',
          protocol: 'udp',
          relayProtocol: 'tls',
          ...candidate,
        },
      ].map((stats) => [stats.id, stats]),
    );
  const first = { framesDecoded: 100, bytesReceived: 1000, packetsReceived: 500, packetsLost: 1 };
  const second = { framesDecoded: 160, bytesReceived: 1001000, packetsReceived: 1098, packetsLost: 3 };

  test('are rates between two looks', () => {
    const rates = new StreamRates();
    assert.equal(rates.next(1000, report(first)).framesPerSecond, undefined);
    const now = rates.next(3000, report(second));
    assert.deepEqual(
      [now.framesPerSecond, now.bitsPerSecond, now.jitterMs, now.roundTripMs, now.way],
      [30, 4000000, 2.5, 12, 'TURN/TLS'],
    );
    assert.ok(Math.abs(now.lossPercent - 1 / 3) < 0.001);
  });

  for (const [candidate, way] of [
    [{ candidateType: 'host' }, 'UDP'],
    [{ relayProtocol: undefined }, 'TURN/UDP'],
  ]) {
    test(`tell the way ${way} of ${JSON.stringify(candidate)}`, () =>
      assert.equal(new StreamRates().next(1000, report(first, candidate)).way, way));
  }

  test('count from nothing what a report does not tell yet', () => {
    const rates = new StreamRates();
    rates.next(1000, report({}));
    const none = rates.next(2000, report({}));
    assert.deepEqual([none.framesPerSecond, none.bitsPerSecond, none.lossPercent], [0, 0, null]);
    const some = rates.next(3000, report({ ...first, packetsReceived: 99 }));
    assert.deepEqual([some.framesPerSecond, some.bitsPerSecond, some.lossPercent], [100, 8000, 1]);
  });

  test('know of a loss from the first packet on, and of none below nothing', () => {
    const lossOf = (now) => {
      const rates = new StreamRates();
      rates.next(1000, report(first));
      return rates.next(2000, report({ ...first, ...now })).lossPercent;
    };
    assert.equal(lossOf({ packetsReceived: 501 }), 0);
    // What came after all is counted back.
    assert.equal(lossOf({ packetsReceived: 503, packetsLost: 0 }), 0);
  });

  test('begin anew with another connection', () => {
    const rates = new StreamRates();
    rates.next(1000, report(first));
    assert.deepEqual(rates.next(2000, null), {});
    assert.equal(rates.next(3000, report(second)).framesPerSecond, undefined);
    assert.equal(rates.next(4000, report({ ...second, id: 'W' })).framesPerSecond, undefined);
  });

  test('say what is not known', () => {
    const lines = Object.fromEntries(describeStats({ transport: 'webrtc', width: 0 }));
    assert.equal(lines.Transport, 'WebRTC');
    for (const name of ['Size', 'Bitrate', 'From capture to screen', 'Round trip'])
      assert.equal(lines[name], 'unknown');
  });

  test('are as exact as they are told', () => {
    const figures = { transport: 'webrtc', width: 0, lossPercent: 0.333, jitterMs: 2.52, roundTripMs: 12.04 };
    const lines = Object.fromEntries(describeStats({ ...figures, framesPerSecond: NaN }));
    const { 'Packets lost': lost, Jitter: jitter, 'Round trip': roundTrip, 'Frames per second': rate } = lines;
    assert.deepEqual([lost, jitter, roundTrip, rate], ['0.33 %', '2.5 ms', '12.0 ms', 'unknown']);
  });

  test('have units', () => {
    const figures = { transport: 'mjpeg', width: 1280, height: 720, framesPerSecond: 29.97, bitsPerSecond: 12345678 };
    assert.deepEqual(describeStats({ ...figures, captureToScreenMs: 41.6, isWithoutNetwork: true }), [
      ['Transport', 'MJPEG'],
      ['Size', '1280 × 720'],
      ['Frames per second', '30.0'],
      ['Bitrate', '12346 kbit/s'],
      ['Packets lost', 'unknown'],
      ['Jitter', 'unknown'],
      ['From capture to screen, without the network', '42 ms'],
      ['Round trip', 'unknown'],
    ]);
  });
});

group('files', () => {
  const moment = new Date(2026, 10, 2, 9, 30, 5);
  for (const [device, name] of [
    ['Rack 3', 'rack-3-2026-11-02-09-30-05.png'],
    ['../Küche: 1', 'küche-1-2026-11-02-09-30-05.png'],
    ['…', 'kvm-2026-11-02-09-30-05.png'],
  ]) {
    test(`of ${device} are called ${name}`, () => assert.equal(fileName(device, moment, 'png'), name));
  }
});

group('a file', () => {
  test('is saved under its name, and its address is given up a minute later', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const link = { click: () => clicked.push({ ...link }) };
    const clicked = [];
    const revoked = [];
    globalThis.document = { createElement: () => link };
    t.mock.method(URL, 'createObjectURL', (blob) => `blob:${blob}`);
    t.mock.method(URL, 'revokeObjectURL', (url) => revoked.push(url));
    save('picture', 'rack-3.png');
    assert.equal(clicked.length, 1);
    assert.deepEqual([clicked[0].href, clicked[0].download], ['blob:picture', 'rack-3.png']);
    t.mock.timers.tick(59999);
    assert.deepEqual(revoked, []);
    t.mock.timers.tick(1);
    assert.deepEqual(revoked, ['blob:picture']);
    delete globalThis.document;
  });

  for (const [rotation, width, height] of [
    [0, 1280, 720],
    [90, 720, 1280],
    [180, 1280, 720],
    [270, 720, 1280],
  ]) {
    test(`of a picture turned by ${rotation} degrees is ${width} by ${height}`, async () => {
      const drawn = [];
      const context = {};
      for (const step of ['translate', 'rotate', 'drawImage']) context[step] = (...how) => drawn.push([step, ...how]);
      const canvas = { getContext: () => context, toBlob: (take, type) => take(`a blob of ${type}`) };
      globalThis.document = { createElement: () => canvas };
      const png = await screenshot('the video', { width: 1280, height: 720, rotation });
      assert.equal(png, 'a blob of image/png');
      assert.deepEqual([canvas.width, canvas.height], [width, height]);
      // Turned about its middle.
      assert.deepEqual(drawn, [
        ['translate', width / 2, height / 2],
        ['rotate', (rotation * Math.PI) / 180],
        ['drawImage', 'the video', -640, -360, 1280, 720],
      ]);
      delete globalThis.document;
    });
  }
});
