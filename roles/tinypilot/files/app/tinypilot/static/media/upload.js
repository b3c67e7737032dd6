// SPDX-License-Identifier: MIT
// Sends a file in pieces. Where it stopped is the device's knowledge: a line that breaks, a restart and a laptop that
// sleeps cost what was underway, and whoever picks the same file again goes on.

import { ApiError } from '../common/api.js';
import { t } from '../common/i18n.js';

const FIRST_PIECE_BYTES = 1024 * 1024;
const LEAST_PIECE_BYTES = 64 * 1024;
const MOST_PIECE_BYTES = 16 * 1024 * 1024; // of media/server.py
// The device ends a piece after 30 s.
const SHORT_MS = 2000;
const LONG_MS = 10000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

// What the device takes as a name (media/images.py), of what people call their files.
export function imageName(fileName) {
  const harmless = fileName.normalize('NFC').replace(/[^\p{L}\p{N}_ .,+()@~=-]/gu, '_');
  const begun = harmless.replace(/^[^\p{L}\p{N}]+/u, '');
  // What is compressed is known by the end of its name.
  const end = begun.match(/(\.[a-z0-9]{1,4}){0,2}$/i)[0];
  const start = [...begun.slice(0, begun.length - end.length)].slice(0, 60 - end.length);
  return (start.join('') + end).replace(/[ .]+$/, '');
}

// A device that does not answer, or not now. What it refuses stays refused.
const isPassing = (error) =>
  error instanceof ApiError && (error.status === undefined || (error.status >= 500 && error.status !== 507));
// Somebody else has sent a piece, or the one before arrived after all.
const isElsewhere = (error) => error instanceof ApiError && error.status === 409;

// begin(): asks the device, which answers {offset}. send(offset, piece): answers {offset, sha256}.
export async function upload(file, { begin, send, noteProgress, pause, now = () => performance.now() }) {
  let pieceBytes = FIRST_PIECE_BYTES;
  let waitMs = FIRST_PAUSE_MS;
  let furthest = 0;

  async function wait() {
    await pause(waitMs);
    waitMs = Math.min(2 * waitMs, LONGEST_PAUSE_MS);
  }

  async function findOffset() {
    for (;;) {
      try {
        return (await begin()).offset;
      } catch (error) {
        if (!isPassing(error)) throw error;
        await wait();
      }
    }
  }

  async function sendFrom(offset) {
    for (let from = offset; ; ) {
      noteProgress(from);
      // It goes on, if only by what a line brings until it breaks.
      if (from > furthest) waitMs = FIRST_PAUSE_MS;
      furthest = Math.max(furthest, from);
      const began = now();
      const told = await send(from, file.slice(from, from + pieceBytes));
      if (told.sha256) return told.sha256;
      // Of the web app, which was asked whether it may be sent, instead of the device's answer.
      if (!Number.isInteger(told.offset)) throw new ApiError('');
      from = told.offset;
      const tookMs = now() - began;
      if (tookMs < SHORT_MS) pieceBytes = Math.min(2 * pieceBytes, MOST_PIECE_BYTES);
      if (tookMs > LONG_MS) pieceBytes = Math.max(pieceBytes / 2, LEAST_PIECE_BYTES);
    }
  }

  for (;;) {
    const offset = await findOffset();
    try {
      return await sendFrom(offset);
    } catch (error) {
      if (!isPassing(error) && !isElsewhere(error)) throw error;
    }
    await checkReadable(file);
    await wait();
    pieceBytes = Math.max(pieceBytes / 2, LEAST_PIECE_BYTES);
  }
}

// A stick that was pulled out, or a file that has changed: to a browser that looks like a line that breaks.
async function checkReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new ApiError(t('The file can no longer be read, or has changed. Choose it again.'));
  }
}
