// SPDX-License-Identifier: MIT
// WebRTC, or MJPEG where WebRTC brings nothing, and why. Pure: facts in, transport and reason out. Only frames
// decide; WebRTC is taken again when they keep coming.

import { t } from '../common/i18n.js';

export const Transport = Object.freeze({ WEBRTC: 'webrtc', MJPEG: 'mjpeg' });

export const Reason = Object.freeze({
  PINNED: 'pinned',
  NO_WEBRTC: 'no-webrtc', // the browser has none
  NO_GATEWAY: 'no-gateway', // Janus does not answer, or refuses
  NO_OFFER: 'no-offer', // the plugin has no picture: no encoder
  NO_CONNECTION: 'no-connection', // no packet gets through
  NO_FRAMES: 'no-frames', // connected, and nothing is decoded
  BLOCKED: 'blocked', // the browser waits for a click
});

// A picture that was there is missed sooner than one that is being opened.
const PATIENCE_MS = { opening: 2500, lost: 1000 };
// Longer than what the plugin remembers keeps a picture fresh: a new viewer gets that even from an encoder that hangs.
const PROOF_MS = 1500;
// Each try begins without a WebSocket: that says nothing of Janus.
const GATEWAY_PATIENCE_MS = 3000;
const NO_PICTURE_YET = 503;

export class TransportChoice {
  pin = null; // of Transport, by the person
  current = Transport.WEBRTC;
  reason = null;
  #hadFrames = false;
  #missingSince = null;
  #freshSince = null;

  // facts: possible (the browser has WebRTC), fresh (its frames are decoded), mjpegFresh, reachable
  // (the device answers), expectsPicture (nobody says that there is no picture at all), linked (signalling
  // is up), unlinkedFor (ms), problem ({code, text} of the plugin, or null), mediaUp (the peer
  // connection is connected), blocked (the browser waits for a click)
  next(now, facts) {
    if (facts.fresh) this.#hadFrames = true;
    this.#freshSince = facts.fresh ? (this.#freshSince ?? now) : null;
    if (this.pin === Transport.MJPEG) return this.#take(Transport.MJPEG, Reason.PINNED);
    if (!facts.possible) return this.#take(Transport.MJPEG, Reason.NO_WEBRTC);
    const unproven = this.current === Transport.MJPEG && now - this.#freshSince < PROOF_MS;
    if (this.pin === Transport.WEBRTC || (facts.fresh && !unproven)) return this.#take(Transport.WEBRTC);
    const hopeless = !facts.reachable || !facts.expectsPicture;
    if (this.current === Transport.MJPEG) {
      if (hopeless && !facts.mjpegFresh) return this.#take(Transport.WEBRTC);
      return this.#take(Transport.MJPEG, (facts.fresh ? null : whyNot(facts)) ?? this.reason);
    }
    if (hopeless) return this.#take(Transport.WEBRTC);
    this.#missingSince ??= now;
    const patience = this.#hadFrames ? PATIENCE_MS.lost : PATIENCE_MS.opening;
    if (now - this.#missingSince < patience) return;
    this.#take(Transport.MJPEG, whyNot(facts) ?? Reason.NO_CONNECTION);
  }

  #take(transport, reason = null) {
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
export function describeTransport(reason) {
  const sentence = sentences()[reason];
  if (!sentence || reason === Reason.PINNED || reason === Reason.NO_WEBRTC) return sentence ?? '';
  return `${sentence} ${t('WebRTC is retried automatically.')}`;
}

const sentences = () => ({
  [Reason.PINNED]: t('The picture comes as MJPEG, as you chose.'),
  [Reason.NO_WEBRTC]: t('The picture comes as MJPEG: this browser has no WebRTC, or it is switched off.'),
  [Reason.NO_GATEWAY]: t('The picture comes as MJPEG: the WebRTC service of the device does not answer, or refuses.'),
  [Reason.NO_OFFER]: t('The picture comes as MJPEG: the device has no H.264 picture. Its encoder may be missing or stuck.'),
  [Reason.NO_CONNECTION]: t('The picture comes as MJPEG: no UDP packet gets through between this browser and the device.'),
  [Reason.NO_FRAMES]: t('The picture comes as MJPEG: WebRTC is connected, and no picture arrives over it.'),
  [Reason.BLOCKED]: t('The picture comes as MJPEG: the browser does not start a video by itself. Click the page for WebRTC.'),
});
