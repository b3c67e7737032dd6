// SPDX-License-Identifier: MIT
// The one place that decides what the page says. Pure: facts in, state and words out.

import { Source } from './source-state.js';

export const State = Object.freeze({
  CONNECTING: 'connecting',
  WAITING: 'waiting',
  LIVE: 'live',
  NO_SIGNAL: 'no-signal',
  UNREACHABLE: 'unreachable',
});

const PATIENCE_MS = 3000;
const NO_PICTURE_YET = 503;

// facts: linked (signalling is up), unlinkedFor (ms), reachable (the device answers by HTTP),
// fresh (frames are being decoded), hadPicture (there were some before), source,
// problem ({code, text} from the plugin or Janus, or null), blocked (the browser waits for a click),
// browserOffline
export function describe(facts) {
  const { linked, unlinkedFor, reachable, fresh, hadPicture, source, browserOffline } = facts;
  // A capture service without a signal may send blank frames: decoded, and still no picture.
  if (fresh && source !== Source.OFFLINE) {
    return { state: State.LIVE, title: 'Live', detail: '' };
  }
  if (!linked) {
    if (browserOffline) return unreachable(browserOffline);
    if (unlinkedFor < PATIENCE_MS) return connecting(hadPicture);
    return reachable ? waiting({ ...facts, silent: 'video' }) : unreachable(browserOffline);
  }
  if (source === Source.OFFLINE || source === Source.SILENT) {
    return {
      state: State.NO_SIGNAL,
      title: 'No signal',
      detail: 'The attached computer is off, asleep, or its video cable is out.',
    };
  }
  return waiting({ ...facts, silent: source === Source.DOWN ? 'capture' : null });
}

function waiting({ hadPicture, problem, silent, blocked }) {
  return {
    state: State.WAITING,
    title: hadPicture ? 'Waiting for the picture' : 'Waiting for the first picture',
    detail: waitingFor(problem, silent, blocked),
  };
}

function connecting(hadPicture) {
  return {
    state: State.CONNECTING,
    title: hadPicture ? 'Reconnecting' : 'Connecting',
    detail: hadPicture ? 'What you see is the last picture received.' : '',
  };
}

function unreachable(browserOffline) {
  return {
    state: State.UNREACHABLE,
    title: 'Device unreachable',
    detail: browserOffline
      ? 'This computer is offline. The picture returns with the network.'
      : 'Still trying. The picture returns as soon as the device answers.',
  };
}

function waitingFor(problem, silentService, blocked) {
  if (problem && problem.code !== NO_PICTURE_YET) {
    return `The device says: ${problem.text || `error ${problem.code}`}`;
  }
  if (silentService) return `The device answers; its ${silentService} service does not yet.`;
  return blocked ? 'Click the page to start the picture.' : 'The device answers; its video is starting.';
}
