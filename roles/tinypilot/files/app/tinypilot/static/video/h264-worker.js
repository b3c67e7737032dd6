// SPDX-License-Identifier: MIT
// A worker: access units in, frames out, by the browser's WebCodecs. Each unit is answered once, by its picture or by
// none, so that the page can tell the device what was shown. The page has one picture in hand at a time: what is decoded
// while it draws is replaced by what is newer.
//
// In: {id, isKey, unit (Uint8Array, Annex B)}; {drawn: true}. Out: {id, frame (VideoFrame, or null)}, {lost: true} (a key frame is
// needed), {unsupported: true} (there will be no picture).

const SPS = 7;
// What fails so often in a row, each time with a key frame, this browser does not decode.
const FAILURES_MOST = 5;

let decoder = null;
let sps = '';
let needsKey = true;
let underway = [];
let failures = 0;
let isDrawing = false;
let newest = null;

addEventListener('message', ({ data: { id, isKey, unit, drawn } }) => {
  if (drawn) return showNext();
  if (needsKey && !isKey) return postMessage({ id, frame: null });
  if (isKey) configure(unit);
  needsKey = false;
  underway.push(id);
  try {
    decoder.decode(new EncodedVideoChunk({ type: isKey ? 'key' : 'delta', timestamp: id, data: unit }));
  } catch (error) {
    fail(error);
  }
});

// Anew where size or profile may have changed: only then does the parameter set.
function configure(unit) {
  const found = parameterSet(unit);
  if (!found || (decoder && found.join() === sps)) return;
  sps = found.join();
  decoder?.close();
  leaveOut(underway);
  underway = [];
  const made = new VideoDecoder({
    output: (frame) => (made === decoder ? show(frame) : frame.close()),
    error: (error) => made === decoder && fail(error),
  });
  decoder = made;
  const codec = `avc1.${[...found.slice(1, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  // No description: start codes, and parameter sets in the stream.
  decoder.configure({ codec, optimizeForLatency: true });
}

function show(frame) {
  failures = 0;
  // What a decoder leaves out is answered, too.
  const place = underway.indexOf(frame.timestamp);
  leaveOut(underway.splice(0, place));
  underway.shift();
  if (newest) {
    leaveOut([newest.timestamp]);
    newest.close();
  }
  newest = frame;
  if (!isDrawing) showNext();
}

function showNext() {
  isDrawing = newest !== null;
  if (newest) postMessage({ id: newest.timestamp, frame: newest }, [newest]);
  newest = null;
}

function leaveOut(ids) {
  for (const id of ids) postMessage({ id, frame: null });
}

function fail(error) {
  if (decoder.state !== 'closed') decoder.close();
  decoder = null;
  failures += 1;
  needsKey = true;
  leaveOut(underway);
  underway = [];
  const isHopeless = error.name === 'NotSupportedError' || failures >= FAILURES_MOST;
  postMessage(isHopeless ? { unsupported: true } : { lost: true });
}

// The sequence parameter set at the beginning of a key frame; null without one.
function parameterSet(unit) {
  for (let at = 0; at + 3 < unit.length; at += 1) {
    if (unit[at] !== 0 || unit[at + 1] !== 0 || unit[at + 2] !== 1) continue;
    if ((unit[at + 3] & 0x1f) === SPS) {
      let end = at + 4;
      while (end + 2 < unit.length && (unit[end] !== 0 || unit[end + 1] !== 0 || unit[end + 2] > 1)) end += 1;
      return unit.slice(at + 3, end);
    }
  }
  return null;
}
