// SPDX-License-Identifier: MIT
// Wires the page together, but for the picture itself (screen.js).

import { addWords } from '../common/i18n.js';
import { load } from '../common/load.js';
import { recall } from '../common/preferences.js';
import { Controls } from '../hid/controls.js';
import { PictureMenu } from '../video/picture-menu.js';
import { dismissMenus } from './menus.js';
import { connection, runWithThePage, view } from './screen.js';

const byId = (id) => document.getElementById(id);

dismissMenus(document.querySelectorAll('details.menu'));

// Asked for only after an upgrade. What can't be loaded now is tried again when this page has lost its connection again.
async function noteVersion(version) {
  if (version === document.documentElement.dataset.version) return;
  const { followUpgrade } = await load(new URL('./new-version.js', import.meta.url));
  followUpgrade(version, upgrade);
}

// What a text that waits to be typed, a recording, the whole screen and an upload have in common: a reload would end them.
const upgrade = {
  mayReload: () =>
    byId('paste-text').value === '' &&
    byId('record').ariaPressed !== 'true' &&
    document.fullscreenElement === null &&
    document.querySelector('.media-sending') === null,
  offer: () => {
    byId('new-version').hidden = false;
  },
};
// Who may only watch has no such button.
byId('open-media')?.addEventListener('click', async () => {
  await addWords('/words/media');
  const { openMedia } = await load(new URL('../media/dialog.js', import.meta.url));
  await openMedia();
});
byId('reload').addEventListener('click', () => location.reload());

// Who may only watch has no such button.
byId('open-power')?.addEventListener('click', async () => {
  await addWords('/words/power');
  const { openPower } = await load(new URL('../power/power-dialog.js', import.meta.url));
  openPower();
});

const controls = new Controls({
  url: `wss://${location.host}/api/hid`,
  stage: byId('stage'),
  screen: view,
  noteVersion: (version) => noteVersion(version).catch(() => {}),
});
new PictureMenu({ connection, view, device: document.querySelector('.bar-name').textContent });
runWithThePage(controls);

// There is no such button where the device has no sound. What makes it is loaded when it is wanted first, and again if
// it could not be.
const soundButton = byId('sound');
let soundBegins = false;
async function beginSound() {
  if (soundBegins) return;
  soundBegins = true;
  try {
    const { Sound } = await load(new URL('../video/sound.js', import.meta.url));
    const parts = { button: soundButton, slider: byId('sound-volume'), meter: byId('sound-level') };
    new Sound({ connection, ...parts }).on = true;
  } catch (error) {
    soundBegins = false;
    throw error;
  }
}
soundButton?.addEventListener('click', beginSound);
if (soundButton && recall('sound', (value) => value?.on === true)) beginSound();
