// SPDX-License-Identifier: MIT
// The video element: what its frames prove, and the last picture behind it.
import assert from 'node:assert/strict';
import { beforeEach, describe as group, test } from 'node:test';
import { FakeElement, settle } from './fake-page.mjs';

const BASE = new URL('../../roles/tinypilot/files/app/tinypilot/static/video/', import.meta.url);
const { WebRtcVideo } = await import(new URL('webrtc-video.js', BASE));

globalThis.MediaStream = class {
  constructor(tracks) {
    this.tracks = tracks;
  }
};

let now = 0;
beforeEach(() => {
  now = 1000;
  globalThis.document = { hidden: false };
});

class FakeVideo extends FakeElement {
  srcObject = null;
  paused = false;
  videoWidth = 1280;
  videoHeight = 720;
  plays = 0;
  refusal = null;

  async play() {
    this.plays += 1;
    if (this.refusal) throw Object.assign(new Error('no'), { name: this.refusal });
  }
}

class VideoWithCallbacks extends FakeVideo {
  requestVideoFrameCallback(action) {
    this.waiting = action;
  }

  // Who asked is told of one frame.
  present(...frame) {
    const { waiting } = this;
    this.waiting = null;
    waiting?.(...frame);
  }
}

function makeVideo(t, Video = VideoWithCallbacks) {
  t.mock.method(performance, 'now', () => now);
  const video = new Video();
  const drawn = [];
  const lastPicture = new FakeElement({
    hidden: true,
    getContext: () => ({ drawImage: (...what) => drawn.push(what) }),
  });
  const screen = new WebRtcVideo({ video, lastPicture });
  let pictures = 0;
  screen.addEventListener('picture', () => {
    pictures += 1;
  });
  // Frames, 50 ms apart.
  const showFrames = (count) => {
    for (let frame = 0; frame < count; frame += 1) {
      now += 50;
      video.present(now, { rtpTimestamp: 90 * now, expectedDisplayTime: now + 8 });
    }
  };
  return { video, lastPicture, drawn, screen, showFrames, pictures: () => pictures };
}

// What a browser counts; the entries of which are these.
const counting = (...entries) => ({ getStats: async () => new Map(entries.map((entry, index) => [index, entry])) });
const decoded = (framesDecoded, keyFramesDecoded = 1) => ({
  type: 'inbound-rtp',
  kind: 'video',
  framesDecoded,
  keyFramesDecoded,
});

group('frames on the screen', () => {
  test('are as old as what came by the network, however late they are decoded', (t) => {
    const { video, screen, pictures } = makeVideo(t);
    for (let frame = 0; frame < 30; frame += 1) {
      now += 150;
      video.present(now, { rtpTimestamp: 3000 * frame, expectedDisplayTime: now, receiveTime: 1000 + frame });
    }
    assert.deepEqual([screen.isFresh(), pictures()], [false, 0]);
    for (let frame = 0; frame < 5; frame += 1) {
      now += 50;
      video.present(now, { rtpTimestamp: 3000 * frame, expectedDisplayTime: now, receiveTime: now - 20 });
    }
    assert.deepEqual([screen.isFresh(), pictures()], [true, 1]);
  });

  test('are a picture when some follow each other', (t) => {
    const { screen, showFrames, pictures } = makeVideo(t);
    assert.deepEqual([screen.isFresh(), screen.hadPicture], [false, false]);
    showFrames(1);
    assert.deepEqual([screen.isFresh(), screen.hadPicture, pictures()], [false, false, 0]);
    showFrames(3);
    assert.deepEqual([screen.isFresh(), screen.hadPicture, pictures()], [true, true, 1]);
    showFrames(10);
    assert.equal(pictures(), 1);
    now += 5000;
    assert.deepEqual([screen.isFresh(), screen.hadPicture], [false, true]);
    showFrames(5);
    assert.equal(pictures(), 2);
  });

  test('of a slow source are missed later', (t) => {
    const { screen, video } = makeVideo(t);
    for (let frame = 0; frame < 4; frame += 1) {
      now += 1000;
      video.present(now, {});
    }
    now += 2000;
    assert.equal(screen.isFresh(), true);
  });

  test('may be asked to be more', (t) => {
    const { screen, showFrames } = makeVideo(t);
    showFrames(5);
    assert.equal(screen.isFresh({ run: 1500 }), false);
    showFrames(40);
    assert.equal(screen.isFresh({ run: 1500 }), true);
  });

  test('tell which is shown and when, as long as they are fresh', (t) => {
    const { screen, video, showFrames } = makeVideo(t);
    showFrames(1);
    assert.equal(screen.presented, null);
    showFrames(3);
    assert.deepEqual(screen.presented, { rtpTimestamp: 90 * now, at: now + 8 });
    now += 50;
    video.present(now, { expectedDisplayTime: now });
    assert.equal(screen.presented, null);
    showFrames(1);
    now += 5000;
    assert.equal(screen.presented, null);
  });

  test('that stopped for a moment may come again', (t) => {
    const { screen, showFrames } = makeVideo(t);
    assert.equal(screen.mayResume(), false);
    showFrames(4);
    now += 2000;
    assert.equal(screen.mayResume(), true);
    now += 20000;
    assert.equal(screen.mayResume(), false);
  });

  test('hide the last picture', (t) => {
    const { lastPicture, showFrames } = makeVideo(t);
    lastPicture.hidden = false;
    showFrames(1);
    assert.equal(lastPicture.hidden, false);
    showFrames(3);
    assert.equal(lastPicture.hidden, true);
  });
});

group('the last picture', () => {
  test('is kept as large as it was', (t) => {
    const { lastPicture, drawn, screen, showFrames, video } = makeVideo(t);
    showFrames(4);
    screen.keepLastPicture();
    assert.deepEqual([lastPicture.width, lastPicture.height, lastPicture.hidden], [1280, 720, false]);
    assert.deepEqual(drawn, [[video, 0, 0]]);
  });

  test('is none before there was one', (t) => {
    const { lastPicture, drawn, screen, showFrames, video } = makeVideo(t);
    screen.keepLastPicture();
    showFrames(1);
    video.videoWidth = 0;
    screen.keepLastPicture();
    assert.deepEqual([lastPicture.hidden, drawn], [true, []]);
  });
});

group('a new track', () => {
  test('is played, and proves itself anew', (t) => {
    const { drawn, screen, showFrames, video, pictures } = makeVideo(t);
    showFrames(4);
    screen.show('track');
    assert.deepEqual(video.srcObject.tracks, ['track']);
    assert.equal(screen.stream, video.srcObject);
    assert.equal(video.plays, 1);
    assert.equal(drawn.length, 1);
    assert.equal(screen.isFresh(), false);
    assert.equal(screen.presented, null);
    assert.equal(screen.framesPerSecond, 0);
    showFrames(4);
    assert.equal(pictures(), 2);
  });

  test('that the browser does not play waits for a click', async (t) => {
    const { screen, video, showFrames } = makeVideo(t);
    Object.assign(video, { refusal: 'NotAllowedError', paused: true });
    screen.show('track');
    await settle();
    assert.equal(screen.isBlocked, true);
    showFrames(5);
    assert.equal(screen.isFresh(), false);
    Object.assign(video, { refusal: null, paused: false });
    screen.play();
    await settle();
    assert.equal(screen.isBlocked, false);
    showFrames(5);
    assert.equal(screen.isFresh(), true);
  });

  test('is not blocked before the browser says so', async (t) => {
    const { screen, video } = makeVideo(t);
    Object.assign(video, { refusal: 'NotAllowedError', paused: true });
    assert.equal(screen.isBlocked, false);
    screen.show('track');
    assert.equal(screen.isBlocked, false);
    await settle();
    assert.equal(screen.isBlocked, true);
    screen.play();
    assert.equal(screen.isBlocked, false);
  });

  test('is not blocked by a newer one, nor when it plays all the same', async (t) => {
    const { screen, video } = makeVideo(t);
    Object.assign(video, { refusal: 'AbortError', paused: true });
    screen.show('track');
    await settle();
    assert.equal(screen.isBlocked, false);
    video.refusal = 'NotAllowedError';
    screen.play();
    await settle();
    video.paused = false;
    assert.equal(screen.isBlocked, false);
  });
});

test("the picture is the element's", (t) => {
  const { screen, video } = makeVideo(t);
  assert.equal(screen.element, video);
  assert.deepEqual([screen.width, screen.height], [1280, 720]);
});

group('decoded frames', () => {
  // A second after the other, so many frames more.
  async function count(screen, ...totals) {
    for (const total of totals) {
      await screen.countDecoded(counting({ type: 'codec' }, { ...decoded(9000), kind: 'audio' }, decoded(total)));
      now += 1000;
    }
  }

  test('are counted from one question to the next', async (t) => {
    const { screen } = makeVideo(t);
    await count(screen, 100);
    assert.equal(screen.framesPerSecond, 0);
    await count(screen, 125);
    assert.equal(screen.framesPerSecond, 25);
    now += 1000;
    await count(screen, 185);
    assert.equal(screen.framesPerSecond, 30);
  });

  test('that do not come any more are none a second', async (t) => {
    const { screen } = makeVideo(t);
    await count(screen, 100, 125, 125);
    assert.equal(screen.framesPerSecond, 0);
  });

  test('of a new track are not those of the one before', async (t) => {
    const { screen, showFrames } = makeVideo(t);
    await count(screen, 100, 125);
    showFrames(4);
    screen.show('track');
    assert.equal(screen.framesPerSecond, 0);
    await count(screen, 150);
    assert.equal(screen.framesPerSecond, 0);
    document.hidden = true;
    await count(screen, 175, 200, 225);
    assert.deepEqual([screen.isFresh(), screen.presented], [true, null]);
  });

  test('may be the only ones that are told: then a pause is for want of a key frame as usual', async (t) => {
    const { screen, showFrames } = makeVideo(t);
    for (let each = 0; each < 2; each += 1)
      await screen.countDecoded(counting({ ...decoded(0), keyFramesDecoded: undefined }));
    showFrames(4);
    now += 2000;
    assert.equal(screen.mayResume(), true);
  });

  test('of another connection are counted anew', async (t) => {
    const { screen } = makeVideo(t);
    await count(screen, 100, 125, 10);
    assert.equal(screen.framesPerSecond, 25);
    await count(screen, 40);
    assert.equal(screen.framesPerSecond, 30);
  });

  test('prove nothing on a page that is seen, where frames are seen', async (t) => {
    const { screen } = makeVideo(t);
    await count(screen, 0, 25, 50, 75);
    assert.equal(screen.isFresh(), false);
  });

  test('prove the picture on a page that is hidden', async (t) => {
    const { screen } = makeVideo(t);
    document.hidden = true;
    await count(screen, 0, 25);
    assert.equal(screen.isFresh(), false);
    await count(screen, 50, 75);
    assert.equal(screen.isFresh(), true);
    await count(screen, 75, 75, 75, 75);
    assert.equal(screen.isFresh(), false);
  });

  test('prove the picture in a browser that does not say which are shown', async (t) => {
    const { screen } = makeVideo(t, FakeVideo);
    await count(screen, 0, 25, 50, 75);
    assert.equal(screen.isFresh(), true);
  });

  test('tell how far apart key frames are: so long a pause may be for want of one', async (t) => {
    const { screen, showFrames } = makeVideo(t);
    for (const keyFrames of [1, 2, 3]) {
      await screen.countDecoded(counting(decoded(0, keyFrames)));
      showFrames(120);
    }
    now += 5000;
    assert.equal(screen.mayResume(), true);
    now += 3000;
    assert.equal(screen.mayResume(), false);
  });

  test('are no news without a connection, or of one that says nothing', async (t) => {
    const { screen } = makeVideo(t);
    await screen.countDecoded(null);
    await screen.countDecoded({ getStats: async () => Promise.reject(new Error('closed')) });
    for (let each = 0; each < 2; each += 1) {
      await screen.countDecoded(counting({ type: 'inbound-rtp', kind: 'video' }));
      assert.equal(screen.framesPerSecond, 0);
      now += 1000;
    }
    await screen.countDecoded(counting(decoded(30)));
    assert.equal(screen.framesPerSecond, 30);
  });
});
