// SPDX-License-Identifier: MIT
// The one place that decides what the page says. Pure: facts in, state and words out.

import { t } from '../common/i18n.js';
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
// fresh (frames are being decoded), hadPicture (there were some before), source, signal (what comes over the video
// cable, in words of the device, or null),
// problem ({code, text} from the plugin or Janus, or null), blocked (the browser waits for a click),
// browserOffline
export function describe(facts) {
  const { linked, unlinkedFor, reachable, fresh, hadPicture, source, browserOffline } = facts;
  // A capture service without a signal may send blank frames: decoded, and still no picture.
  if (fresh && source !== Source.OFFLINE) {
    return { state: State.LIVE, title: t('Live'), detail: '' };
  }
  if (!linked) {
    if (browserOffline) return unreachable(browserOffline);
    if (unlinkedFor < PATIENCE_MS) return connecting(hadPicture);
    return reachable ? waiting({ ...facts, silent: 'gateway' }) : unreachable(browserOffline);
  }
  // Of a picture that is too large for its encoder uStreamer crashes, again and again.
  if (source === Source.OFFLINE || source === Source.SILENT || facts.signal?.state === 'not_encoded') {
    return noSignal(facts.signal);
  }
  return waiting({ ...facts, silent: source === Source.DOWN ? 'capture' : null });
}

function noSignal(signal) {
  if (signal?.state === 'present') {
    return { state: State.WAITING, title: t('Waiting for the picture'), detail: signal.words };
  }
  return {
    state: State.NO_SIGNAL,
    title: signal?.title ?? t('No signal'),
    detail: signal?.words ?? t('The attached computer is off or asleep, or its video cable is not connected.'),
  };
}

function waiting({ hadPicture, problem, silent, blocked }) {
  return {
    state: State.WAITING,
    title: hadPicture ? t('Waiting for the picture') : t('Waiting for the first picture'),
    detail: waitingFor(problem, silent, blocked),
  };
}

function connecting(hadPicture) {
  return {
    state: State.CONNECTING,
    title: hadPicture ? t('Reconnecting') : t('Connecting'),
    detail: hadPicture ? t('What you see is the last picture received.') : '',
  };
}

function unreachable(browserOffline) {
  return {
    state: State.UNREACHABLE,
    title: t('Device unreachable'),
    detail: browserOffline
      ? t('This computer is offline. The picture returns with the network.')
      : t('Still trying. The picture returns as soon as the device answers.'),
  };
}

function waitingFor(problem, silent, blocked) {
  if (problem && problem.code !== NO_PICTURE_YET) {
    return t('The device says: {problem}', { problem: problem.text || t('error {code}', { code: problem.code }) });
  }
  if (silent === 'gateway') return t('The device answers, but its video service does not yet.');
  if (silent === 'capture') return t('The device answers, but its capture service does not yet.');
  return blocked ? t('Click the page to start the picture.') : t('The device answers. Its video is starting.');
}
