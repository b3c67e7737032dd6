// SPDX-License-Identifier: MIT
// Wires the page together. janus.js and its adapter are classic scripts: they come as globals.

import { language, t } from '../common/i18n.js';
import { forgetReloads } from '../common/preferences.js';
import { Controls } from '../hid/controls.js';
import { Connection } from '../video/connection.js';
import { prepareJanus } from '../video/janus-session.js';
import { PictureMenu } from '../video/picture-menu.js';
import { TransportMenu } from '../video/transport-menu.js';
import { View } from '../video/view.js';
import { WebRtcVideo } from '../video/webrtc-video.js';
import { dismissMenus } from './menus.js';
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

dismissMenus(document.querySelectorAll('details.menu'));

const canWebRtc = Boolean(Janus && 'RTCPeerConnection' in globalThis);
if (canWebRtc) prepareJanus({ Janus, adapter });
const screen = new WebRtcVideo({ video: byId('remote-screen'), lastPicture: byId('last-picture') });
const connection = new Connection(screen, {
  gatewayUrl: '/api/gateway',
  sourceUrl: '/api/source',
  h264Url: `wss://${location.host}/api/h264`,
  h264Canvas: byId('h264'),
  mjpegUrl: `wss://${location.host}/api/jpegs`,
  mjpegCanvas: byId('jpegs'),
  iceServersUrl: '/api/ice-servers',
  sessionOptions: canWebRtc ? { Janus, url: `wss://${location.host}/janus/ws` } : null,
});

const view = new View(byId('view'), connection);
const controls = new Controls({ url: `wss://${location.host}/api/hid`, stage: byId('stage'), screen: view });
const transportMenu = new TransportMenu(connection);
connection.addEventListener('change', ({ detail }) => {
  statusBar.show(detail, detail.state === 'live' ? pictureFacts(connection.shown) : '');
  transportMenu.show(detail);
  view.layout();
});
new PictureMenu({ connection, view, device: document.querySelector('.bar-name').textContent });
// The session has ended: nothing of the picture stays on the screen.
connection.addEventListener('lockedout', () => location.replace('/login'));
for (const part of [connection, controls]) {
  addEventListener('pagehide', () => part.stop());
  addEventListener('pageshow', (event) => event.persisted && part.start());
  addEventListener('online', () => part.retryNow());
  document.addEventListener('visibilitychange', () => document.hidden || part.retryNow());
}
// Not pointerdown: browsers don't count that of a finger as a click.
addEventListener('pointerup', () => screen.isBlocked && screen.play());
connection.start();
controls.start();
if (adapter) forgetReloads(); // every script is there

function pictureFacts({ width, height, framesPerSecond }) {
  if (width === 0) return '';
  const size = `${width} \u00d7 ${height}`;
  return framesPerSecond > 0 ? `${size} \u00b7 ${t('{rate} fps', { rate: whole.format(framesPerSecond) })}` : size;
}
