// SPDX-License-Identifier: MIT
// The picture, and the words on its state: what a page needs first, so it does not wait for the modules of main.js.
// janus.js and its adapter are classic scripts: they come as globals.

import { language, t } from '../common/i18n.js';
import { recall } from '../common/preferences.js';
import { Connection } from '../video/connection.js';
import { prepareJanus } from '../video/janus-session.js';
import { TransportMenu } from '../video/transport-menu.js';
import { View } from '../video/view.js';
import { WebRtcVideo } from '../video/webrtc-video.js';
import { StatusBar } from './status-bar.js';

const byId = (id) => document.getElementById(id);
const { Janus, adapter } = globalThis;
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });

const statusBar = new StatusBar({
  root: document.documentElement,
  title: byId('status-title'),
  noticeTitle: byId('notice-title'),
  noticeDetail: byId('notice-detail'),
  picture: byId('picture-facts'),
});

const canWebRtc = Boolean(Janus && 'RTCPeerConnection' in globalThis);
if (canWebRtc) prepareJanus({ Janus, adapter });
const screen = new WebRtcVideo({ video: byId('remote-screen'), lastPicture: byId('last-picture') });
export const connection = new Connection(screen, {
  gatewayUrl: '/api/gateway',
  sourceUrl: '/api/source',
  signalUrl: '/api/signal',
  h264Url: `wss://${location.host}/api/h264`,
  h264Canvas: byId('h264'),
  mjpegUrl: `wss://${location.host}/api/jpegs`,
  mjpegCanvas: byId('jpegs'),
  iceServersUrl: '/api/ice-servers',
  iceServers: JSON.parse(document.documentElement.dataset.iceServers ?? 'null'),
  sessionOptions: canWebRtc ? { Janus, url: `wss://${location.host}/janus/ws` } : null,
});

export const view = new View(byId('view'), connection);
const transportMenu = new TransportMenu(connection);
connection.addEventListener('change', ({ detail }) => {
  statusBar.show(detail, detail.state === 'live' ? pictureFacts(connection.shown, view.bars) : '');
  transportMenu.show(detail);
  view.layout();
});
// The session has ended: nothing of the picture stays on the screen.
connection.addEventListener('lockedout', () => location.replace('/login'));
// Not pointerdown: browsers don't count that of a finger as a click.
addEventListener('pointerup', () => screen.isBlocked && screen.play());
// Asked for with the picture: what plays it (main.js) comes later.
connection.wantsSound = Boolean(byId('sound')) && recall('sound', (value) => value?.on === true) !== null;
runWithThePage(connection);

// From now until the page is left, and again when it comes back. part: has start(), stop(), retryNow()
export function runWithThePage(part) {
  addEventListener('pagehide', () => part.stop());
  addEventListener('pageshow', (event) => event.persisted && part.start());
  addEventListener('online', () => part.retryNow());
  document.addEventListener('visibilitychange', () => document.hidden || part.retryNow());
  part.start();
}

function pictureFacts({ width, height, framesPerSecond }, { x, y }) {
  if (width === 0) return '';
  const facts = [`${width} \u00d7 ${height}`];
  if (framesPerSecond > 0) facts.push(t('{rate} fps', { rate: whole.format(framesPerSecond) }));
  if (x + y > 0) facts.push(t('black bars left out'));
  return facts.join(' \u00b7 ');
}
