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
  return [...begun].slice(0, 60).join('').replace(/[ .]+$/, '');
}

// Of a device that does not answer, or not now. What it refuses stays refused.
const mayBeTriedAgain = ({ status }) => status === undefined || status === 409 || (status >= 500 && status !== 507);

// begin(): asks the device, which answers {offset}. send(offset, piece): answers {offset, sha256}.
export async function upload(file, { begin, send, noteProgress, pause, now = () => performance.now() }) {
  let pieceBytes = FIRST_PIECE_BYTES;
  let waitMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      let { offset } = await retried(begin, (error) => mayBeTriedAgain(error) && error.status !== 409);
      for (;;) {
        noteProgress(offset);
        const began = now();
        const told = await send(offset, file.slice(offset, offset + pieceBytes));
        if (told.sha256) return told.sha256;
        // Of the web app, which was asked whether it may be sent, instead of the device's answer.
        if (!Number.isInteger(told.offset)) throw new ApiError('');
        if (told.offset > offset) waitMs = FIRST_PAUSE_MS;
        ({ offset } = told);
        const tookMs = now() - began;
        if (tookMs < SHORT_MS) pieceBytes = Math.min(2 * pieceBytes, MOST_PIECE_BYTES);
        if (tookMs > LONG_MS) pieceBytes = Math.max(pieceBytes / 2, LEAST_PIECE_BYTES);
      }
    } catch (error) {
      if (!(error instanceof ApiError) || !mayBeTriedAgain(error)) throw error;
    }
    await checkReadable(file);
    await pause(waitMs);
    waitMs = Math.min(2 * waitMs, LONGEST_PAUSE_MS);
    pieceBytes = Math.max(pieceBytes / 2, LEAST_PIECE_BYTES);
  }

  async function retried(ask, mayRetry) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof ApiError) || !mayRetry(error)) throw error;
        await pause(waitMs);
        waitMs = Math.min(2 * waitMs, LONGEST_PAUSE_MS);
      }
    }
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
