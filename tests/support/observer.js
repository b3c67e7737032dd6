// SPDX-License-Identifier: MIT
// Put into the page before its own scripts. It watches from the side and changes nothing: which states
// the page showed, which peer connections it made, and what the frames in its video say about themselves.
(() => {
  // biome-ignore lint/suspicious/noRedundantUseStrict: a classic script
  'use strict';

  // The code in the emulated computer's picture, see roles/emulated_hardware: 120 cells, one bit each.
  const CELL = 16;
  const COLUMNS = 40;
  const ROWS = 3;
  const BYTES = (ROWS * COLUMNS) / 8;
  const MARK = 0xa5;
  const CHECKED_BYTES = 10;
  const MIDDLE = 128;
  const FRAMES_KEPT = 4000;
  const TICKS = 8;

  const observer = {
    id: crypto.getRandomValues(new Uint32Array(4)).join(), // a reload would make another one
    states: [],
    peers: [],
    frames: [],
    readsFrames: true, // who has no use for them may do without
    violations: [],
    clockOffset: calibrate(),
    // Of what is drawn on an element now: the JPEG path has a canvas.
    code: (id) => readCode(document.getElementById(id)),
    framesSince: (number) => observer.frames.filter((frame) => frame.number > number),
  };
  Object.defineProperty(globalThis, 'observer', { value: observer });

  // --- Time ---

  // Date.now() is the machine's wall clock in whole milliseconds, performance.now() is finer and may
  // have drifted from it: what lies between them is seen where Date.now() ticks over. The largest of
  // several readings is the one that was interrupted least.
  function calibrate() {
    let offset = -Infinity;
    for (let tick = 0, wall = Date.now(); tick < TICKS; tick += 1) {
      const before = wall;
      while (wall === before) wall = Date.now();
      offset = Math.max(offset, wall - performance.now());
    }
    return offset;
  }

  const wallMs = (moment = performance.now()) => observer.clockOffset + moment;

  // --- The page's state ---

  new MutationObserver(() => {
    const state = document.documentElement?.dataset.state;
    if (state && observer.states.at(-1)?.state !== state) observer.states.push({ at: wallMs(), state });
  }).observe(document, { subtree: true, childList: true, attributeFilter: ['data-state'] });

  document.addEventListener('securitypolicyviolation', (event) => {
    observer.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
  });

  // --- Peer connections ---

  globalThis.RTCPeerConnection = new Proxy(globalThis.RTCPeerConnection, {
    construct(target, args, newTarget) {
      const connection = Reflect.construct(target, args, newTarget);
      notePeer(connection, args[0]);
      return connection;
    },
  });

  function notePeer(connection, configuration) {
    const peer = { connection, configuration, events: [] };
    const note = (name) => peer.events.push({ at: wallMs(), name });
    connection.addEventListener('signalingstatechange', () => note(`signaling ${connection.signalingState}`));
    connection.addEventListener('iceconnectionstatechange', () => note(`ice ${connection.iceConnectionState}`));
    connection.addEventListener('connectionstatechange', () => note(`connection ${connection.connectionState}`));
    note('created');
    observer.peers.push(peer);
  }

  // --- Frames ---

  // What the page draws on its canvases is noted as what its video presents is.
  const CANVASES = ['h264', 'jpegs'];
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function drawAndNote(picture, ...place) {
    draw.call(this, picture, ...place);
    if (!observer.readsFrames || !CANVASES.includes(this.canvas.id)) return;
    const frame = new VideoFrame(picture, { timestamp: 0 });
    note(frame, { at: wallMs(), width: frame.displayWidth, height: frame.displayHeight, shownBy: this.canvas.id });
  };

  const canvas = new OffscreenCanvas(COLUMNS * CELL, ROWS * CELL);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let count = 0;

  document.addEventListener('DOMContentLoaded', () => {
    const video = document.getElementById('remote-screen');
    if (video) watch(video);
  });

  function watch(video) {
    video.requestVideoFrameCallback((_now, metadata) => {
      watch(video);
      if (!observer.readsFrames) return;
      const at = wallMs();
      const picture = shown(video);
      if (!picture) return;
      const { width, height, rtpTimestamp } = metadata;
      note(picture, { at, width, height, rtpTimestamp, shownBy: video.id });
    });
  }

  function note(picture, facts) {
    count += 1;
    const frame = { number: count, ...facts };
    // A blank one, as a capture service may send, has no code, and no room for one.
    if (picture.codedWidth < canvas.width || picture.codedHeight < canvas.height) {
      picture.close();
      observer.frames.push({ ...frame, counter: null, stampUs: null });
      return;
    }
    const step = picture.format.startsWith('RGB') || picture.format.startsWith('BGR') ? 4 : 1;
    copyPart(picture).then((data) => {
      observer.frames.push({ ...frame, ...decode(data, step * canvas.width, step) });
      if (observer.frames.length > FRAMES_KEPT) observer.frames.shift();
    });
  }

  // null before the element plays: Chromium's callbacks begin with the first frame that it received, which nobody sees
  // and nobody can read until play() has come into effect.
  function shown(video) {
    try {
      return new VideoFrame(video);
    } catch (error) {
      if (error.name === 'InvalidStateError') return null;
      throw error;
    }
  }

  // Of the part of the picture that has the code. A canvas would have all of it converted to RGB.
  async function copyPart(frame) {
    const part = { rect: { x: 0, y: 0, width: canvas.width, height: canvas.height } };
    const planes = new Uint8Array(frame.allocationSize(part));
    await frame.copyTo(planes, part);
    frame.close();
    return planes;
  }

  function readCode(picture) {
    context.drawImage(picture, 0, 0, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
    return decode(context.getImageData(0, 0, canvas.width, canvas.height).data, 4 * canvas.width, 4);
  }

  // data: of lines of `stride` bytes, `step` bytes a pixel, the first of which tells light from dark.
  // {counter, stampUs} or, where the checksum is wrong, {counter: null, stampUs: null}.
  function decode(data, stride, step) {
    const bytes = new Uint8Array(BYTES);
    for (let cell = 0; cell < ROWS * COLUMNS; cell += 1) {
      const x = (cell % COLUMNS) * CELL + CELL / 2;
      const y = Math.floor(cell / COLUMNS) * CELL + CELL / 2;
      if (data[y * stride + x * step] > MIDDLE) bytes[cell >> 3] |= 0x80 >> (cell & 7);
    }
    const view = new DataView(bytes.buffer);
    const good = bytes[0] === MARK && crc16(bytes.subarray(0, CHECKED_BYTES)) === view.getUint16(CHECKED_BYTES);
    if (!good) return { counter: null, stampUs: null };
    return { counter: view.getUint32(1), stampUs: view.getUint8(5) * 2 ** 32 + view.getUint32(6) };
  }

  // CRC-16/CCITT-FALSE
  function crc16(bytes) {
    let crc = 0xffff;
    for (const byte of bytes) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc;
  }
})();
