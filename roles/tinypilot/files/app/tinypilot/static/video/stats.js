// SPDX-License-Identifier: MIT
// What the picture's statistics say. Pure: reports in, figures and words out. What nobody knows is null, and is
// called unknown.

import { t } from '../common/i18n.js';

const RTP_MODULUS = 2 ** 32;
const CLOCK_GOOD_FOR_MS = 60000;

// The device's clock as RTP timestamps tell it, from questions and answers: the answer that took least time is
// nearest to the truth, by half of that at worst.
export class DeviceClock {
  #best = null;

  note({ askedAt, heardAt, rtpTimestamp, hz }) {
    const took = heardAt - askedAt;
    if (this.#best && took > this.#best.took && heardAt - this.#best.heardAt < CLOCK_GOOD_FOR_MS) return;
    this.#best = { took, heardAt, at: (askedAt + heardAt) / 2, rtpTimestamp, perMs: hz / 1000 };
  }

  // How long before `at` (as performance.now()) the frame with this timestamp was captured, in ms.
  age({ rtpTimestamp, at }) {
    if (!this.#best) return null;
    const now = this.#best.rtpTimestamp + (at - this.#best.at) * this.#best.perMs;
    const ticks = (((now - rtpTimestamp) % RTP_MODULUS) + RTP_MODULUS) % RTP_MODULUS;
    return (ticks > RTP_MODULUS / 2 ? ticks - RTP_MODULUS : ticks) / this.#best.perMs;
  }
}

// Rates of WebRTC, from two reports of getStats() in a row.
export class StreamRates {
  #before = null;

  // at: performance.now(); report: RTCStatsReport, or null
  next(at, report) {
    const all = [...(report?.values() ?? [])];
    const video = all.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    if (!video) {
      this.#before = null;
      return {};
    }
    const before = this.#before?.video.id === video.id ? this.#before : null;
    this.#before = { at, video };
    const transport = all.find(({ type }) => type === 'transport');
    const pair = report.get(transport?.selectedCandidatePairId);
    return {
      jitterMs: scaled(video.jitter, 1000),
      roundTripMs: scaled(pair?.currentRoundTripTime, 1000),
      way: describeWay(report.get(pair?.localCandidateId)),
      ...(before && rates(before.video, video, at - before.at)),
    };
  }
}

function rates(before, now, spanMs) {
  const more = (name) => (now[name] ?? 0) - (before[name] ?? 0);
  const packets = more('packetsReceived') + more('packetsLost');
  return {
    framesPerSecond: (more('framesDecoded') * 1000) / spanMs,
    bitsPerSecond: (more('bytesReceived') * 8000) / spanMs,
    lossPercent: packets > 0 ? Math.max(0, (more('packetsLost') * 100) / packets) : null,
  };
}

function scaled(value, factor) {
  return typeof value === 'number' ? value * factor : null;
}

function describeWay(candidate) {
  if (!candidate) return null;
  if (candidate.candidateType !== 'relay') return candidate.protocol?.toUpperCase() ?? null;
  return `TURN/${(candidate.relayProtocol ?? candidate.protocol).toUpperCase()}`;
}

// [[name, value]], as they are shown and copied.
export function describeStats(figures) {
  const { transport, way, width, height, framesPerSecond, bitsPerSecond } = figures;
  const { lossPercent, jitterMs, captureToScreenMs, isWithoutNetwork, roundTripMs } = figures;
  return [
    [
      t('Transport'),
      [{ webrtc: 'WebRTC', webcodecs: t('H.264 over a WebSocket'), mjpeg: 'MJPEG' }[transport], way]
        .filter(Boolean)
        .join(', '),
    ],
    [t('Size'), width > 0 ? `${width} \u00d7 ${height}` : t('unknown')],
    [t('Frames per second'), number(framesPerSecond, 1)],
    [t('Bitrate'), number(scaled(bitsPerSecond, 0.001), 0, 'kbit/s')],
    [t('Packets lost'), number(lossPercent, 2, '%')],
    [t('Jitter'), number(jitterMs, 1, 'ms')],
    [
      isWithoutNetwork ? t('From capture to screen, without the network') : t('From capture to screen'),
      number(captureToScreenMs, 0, 'ms'),
    ],
    [t('Round trip'), number(roundTripMs, 1, 'ms')],
  ];
}

function number(value, digits, unit = '') {
  if (typeof value !== 'number' || !Number.isFinite(value)) return t('unknown');
  return `${value.toFixed(digits)} ${unit}`.trim();
}
