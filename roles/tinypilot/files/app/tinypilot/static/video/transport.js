// SPDX-License-Identifier: MIT
// Which transport brings the picture, and why it is not WebRTC: H.264 over a WebSocket, where the browser can decode
// that, and else MJPEG. Pure: facts in, transport and reason out. Only frames decide; WebRTC is taken again when they
// keep coming.

import { t } from '../common/i18n.js';

export const Transport = Object.freeze({
  WEBRTC: 'webrtc',
  WEBCODECS: 'webcodecs', // H.264 over a WebSocket
  MJPEG: 'mjpeg',
});

export const Reason = Object.freeze({
  PINNED: 'pinned',
  NO_WEBRTC: 'no-webrtc', // the browser has none
  NO_WEBRTC_H264: 'no-webrtc-h264', // and its WebRTC no H.264
  NO_GATEWAY: 'no-gateway', // Janus does not answer, or refuses
  NO_OFFER: 'no-offer', // the plugin has no picture: no encoder
  NO_CONNECTION: 'no-connection', // no packet gets through
  NO_FRAMES: 'no-frames', // connected, and nothing is decoded
  BLOCKED: 'blocked', // the browser waits for a click
});

// A picture that was there is missed sooner than one that is being opened.
const PATIENCE_MS = { opening: 2500, lost: 1000 };
// The second transport is opened before that, so that its picture is there when patience ends, or sooner.
const HEAD_START_MS = { opening: 1500, lost: 500 };
// And is given up for JPEGs: a key frame may be seconds away.
const WEBCODECS_PATIENCE_MS = 3000;
// Longer than what the plugin remembers keeps a picture fresh: a new viewer gets that even from an encoder that hangs.
const PROOF_MS = 1500;
// Each try begins without a WebSocket: that says nothing of Janus.
const GATEWAY_PATIENCE_MS = 3000;
const NO_PICTURE_YET = 503;

export class TransportChoice {
  pin = null; // of Transport, by the person
  current = Transport.WEBRTC;
  reason = null;
  // Whether H.264 over a WebSocket is to be tried: also before it is taken, and behind MJPEG.
  triesWebCodecs = false;
  #hadFrames = false;
  #missingSince = null;
  #freshSince = null;
  #webCodecsMissingSince = null;

  // Whether WebRTC is to be tried. facts: as of next().
  usesWebRtc({ hindrance, canWebCodecs }) {
    return hindrance === null && [null, Transport.WEBRTC].includes(this.#pinFor(canWebCodecs));
  }

  // facts: hindrance (NO_WEBRTC, NO_WEBRTC_H264 or null), fresh (WebRTC's frames are decoded), canWebCodecs,
  // webCodecsFresh, mjpegFresh, reachable (the device answers), expectsPicture (nobody says that there is no picture
  // at all), linked (signalling is up), unlinkedFor (ms), problem ({code, text} of the plugin, or null), mediaUp (the
  // peer connection is connected), blocked (the browser waits for a click)
  next(now, facts) {
    if (facts.fresh) this.#hadFrames = true;
    this.#freshSince = facts.fresh ? (this.#freshSince ?? now) : null;
    const pin = this.#pinFor(facts.canWebCodecs);
    this.triesWebCodecs = pin === Transport.WEBCODECS;
    if (pin === Transport.MJPEG || pin === Transport.WEBCODECS) return this.#take(pin, Reason.PINNED);
    if (facts.hindrance) return this.#instead(now, facts, facts.hindrance);
    const isInstead = this.current !== Transport.WEBRTC;
    const unproven = isInstead && now - this.#freshSince < PROOF_MS;
    if (pin === Transport.WEBRTC || (facts.fresh && !unproven)) return this.#take(Transport.WEBRTC);
    const hopeless = !facts.reachable || !facts.expectsPicture;
    if (isInstead) {
      if (hopeless && !facts.mjpegFresh && !facts.webCodecsFresh) return this.#take(Transport.WEBRTC);
      return this.#instead(now, facts, (facts.fresh ? null : whyNot(facts)) ?? this.reason);
    }
    if (hopeless) return this.#take(Transport.WEBRTC);
    this.#missingSince ??= now;
    const stage = this.#hadFrames ? 'lost' : 'opening';
    const missingFor = now - this.#missingSince;
    this.triesWebCodecs = facts.canWebCodecs && missingFor >= HEAD_START_MS[stage];
    if (missingFor < PATIENCE_MS[stage] && !facts.webCodecsFresh) return;
    this.#instead(now, facts, whyNot(facts) ?? Reason.NO_CONNECTION);
  }

  // A choice that was remembered and that this browser can not do is none.
  #pinFor(canWebCodecs) {
    return this.pin === Transport.WEBCODECS && !canWebCodecs ? null : this.pin;
  }

  #instead(now, { canWebCodecs, webCodecsFresh }, reason) {
    if (!canWebCodecs) return this.#take(Transport.MJPEG, reason);
    if (webCodecsFresh) this.#webCodecsMissingSince = null;
    else this.#webCodecsMissingSince ??= now;
    // Without an encoder there is no H.264 on any way, and none comes from one that hangs.
    const isMissed = !webCodecsFresh && now - this.#webCodecsMissingSince >= WEBCODECS_PATIENCE_MS;
    const isHopeless =
      isMissed || (!webCodecsFresh && (reason === Reason.NO_OFFER || this.current === Transport.MJPEG));
    this.#take(isHopeless ? Transport.MJPEG : Transport.WEBCODECS, reason);
    this.triesWebCodecs = true;
  }

  #take(transport, reason = null) {
    if (transport === Transport.WEBRTC) this.#webCodecsMissingSince = null;
    this.current = transport;
    this.reason = reason;
    this.#missingSince = null;
  }
}

// null: that is not known while a try begins.
function whyNot({ linked, unlinkedFor, problem, mediaUp, blocked }) {
  if (blocked) return Reason.BLOCKED;
  if (!linked) return unlinkedFor >= GATEWAY_PATIENCE_MS ? Reason.NO_GATEWAY : null;
  if (problem) return problem.code === NO_PICTURE_YET ? Reason.NO_OFFER : Reason.NO_GATEWAY;
  return mediaUp ? Reason.NO_FRAMES : Reason.NO_CONNECTION;
}

// What the page says about it; nothing while WebRTC brings the picture.
export function describeTransport(transport, reason) {
  const why = sentences()[reason];
  if (!why) return '';
  const how =
    transport === Transport.MJPEG
      ? t('The picture comes as MJPEG.')
      : t('The picture comes as H.264 over a WebSocket.');
  const isLasting = [Reason.PINNED, Reason.NO_WEBRTC, Reason.NO_WEBRTC_H264].includes(reason);
  return [how, why, isLasting ? '' : t('WebRTC is retried automatically.')].join(' ').trim();
}

const sentences = () => ({
  [Reason.PINNED]: t('You chose this.'),
  [Reason.NO_WEBRTC]: t('This browser has no WebRTC, or it is switched off.'),
  [Reason.NO_WEBRTC_H264]: t('This browser can not show H.264 over WebRTC.'),
  [Reason.NO_GATEWAY]: t('The WebRTC service of the device does not answer, or refuses.'),
  [Reason.NO_OFFER]: t('The device has no H.264 picture. Its encoder may be missing or stuck.'),
  [Reason.NO_CONNECTION]: t('No UDP packet gets through between this browser and the device.'),
  [Reason.NO_FRAMES]: t('WebRTC is connected, and no picture arrives over it.'),
  [Reason.BLOCKED]: t('The browser does not start a video by itself. Click the page for WebRTC.'),
});
