// SPDX-License-Identifier: MIT
// The dialog of the USB drives: what is in them, the images, and uploads. Loaded when it is opened first.

import { ApiError, callApi, fetchSession } from '../common/api.js';
import { language, t } from '../common/i18n.js';
import { imageName, upload } from './upload.js';

const LOOK_MS = 2000;
const MIB = 1024 * 1024;

let dialog = null;
// One at a time is all that a person does. {name, file, sent}
let sending = null;

export async function openMedia() {
  if (!dialog) {
    const { role } = await fetchSession();
    dialog = new MediaDialog(role === 'admin');
  }
  dialog.open();
}

export function sizeOf(bytes) {
  const [unit, divisor] = bytes >= 1000 * MIB ? ['gigabyte', 1024 * MIB] : ['megabyte', MIB];
  const format = new Intl.NumberFormat(language, { style: 'unit', unit, maximumFractionDigits: 1 });
  return format.format(bytes / divisor);
}

// make('button', {textContent: 'Eject'}, ...children)
function make(tag, facts = {}, ...children) {
  const element = Object.assign(document.createElement(tag), facts);
  element.append(...children);
  return element;
}

const nameOf = ({ kind, number }) =>
  kind === 'cdrom' ? t('CD-ROM (drive {number})', { number }) : t('Disk (drive {number})', { number });

class MediaDialog {
  #isAdmin;
  #dialog;
  #problem = make('p', { className: 'paste-missing', role: 'alert' });
  #result = make('p', { role: 'status' });
  #lists = make('div');
  #progress = make('progress', { hidden: true, ariaLabel: t('Upload progress') });
  #file = make('input', { type: 'file', id: 'media-file', accept: '.iso,.img,.xz,.gz,.zst' });
  #fetch = make('form', { className: 'media-row', hidden: true });
  #sources = make('span', { className: 'hint' });
  #shown = '';
  #timer = null;

  constructor(isAdmin) {
    this.#isAdmin = isAdmin;
    const head = document.createElement('link');
    Object.assign(head, { rel: 'stylesheet', href: new URL('./media.css', import.meta.url).href });
    document.head.append(head);
    this.#dialog = make('dialog', { className: 'paste media', id: 'media' });
    this.#dialog.setAttribute('aria-labelledby', 'media-title');
    const close = make('form', { method: 'dialog' }, make('button', { textContent: t('Close') }));
    this.#dialog.append(
      make('h2', { id: 'media-title', textContent: t('USB drives of the attached computer') }),
      this.#problem,
      this.#lists,
      ...(isAdmin ? this.#forAdmins() : []),
      this.#progress,
      this.#result,
      make('div', { className: 'paste-buttons' }, close),
    );
    this.#dialog.addEventListener('close', () => clearTimeout(this.#timer));
    document.body.append(this.#dialog);
  }

  open() {
    this.#result.textContent = '';
    this.#dialog.showModal();
    this.#keepLooking();
  }

  #forAdmins() {
    this.#file.addEventListener('change', () => this.#send(this.#file.files[0]));
    const name = make('input', { id: 'disk-name', maxLength: 60, value: 'disk.img', required: true });
    const size = make('input', { id: 'disk-size', type: 'number', min: 1, step: 1, value: 256, required: true });
    const form = make(
      'form',
      { className: 'media-row' },
      make('label', { htmlFor: 'disk-name', textContent: t('New empty disk (FAT)') }),
      name,
      make('label', { htmlFor: 'disk-size', textContent: t('Size in MiB') }),
      size,
      make('button', { textContent: t('Make it') }),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#do(() => callApi('POST', '/api/media/disks', { name: name.value, size: size.valueAsNumber * MIB }));
    });
    const label = make('label', {
      htmlFor: 'media-file',
      textContent: t('Upload an image (ISO, IMG; also as .xz, .gz or .zst)'),
    });
    return [make('div', { className: 'media-row' }, label, this.#file), this.#forFetching(), form];
  }

  #forFetching() {
    const url = make('input', {
      id: 'fetch-url',
      type: 'url',
      pattern: 'https://.*',
      placeholder: 'https://',
      required: true,
    });
    const sha256 = make('input', { id: 'fetch-sha256', pattern: ' *[0-9A-Fa-f]{64} *' });
    this.#fetch.append(
      make('label', { htmlFor: url.id, textContent: t('Have the device fetch an image (https)') }),
      url,
      make('label', { htmlFor: sha256.id, textContent: t('SHA-256, if you know it') }),
      sha256,
      make('button', { textContent: t('Fetch') }),
      this.#sources,
    );
    this.#fetch.addEventListener('submit', (event) => {
      event.preventDefault();
      const asked = { url: url.value.trim(), sha256: sha256.value.trim().toLowerCase() };
      this.#do(async () => {
        await callApi('POST', '/api/media/downloads', asked);
        this.#fetch.reset();
      });
    });
    return this.#fetch;
  }

  async #keepLooking() {
    clearTimeout(this.#timer);
    try {
      this.#show(await callApi('GET', '/api/media'));
      this.#problem.hidden = this.#problem.textContent === '';
    } catch (error) {
      this.#say(error);
    }
    if (this.#dialog.open) this.#timer = setTimeout(() => this.#keepLooking(), LOOK_MS);
  }

  #say(error) {
    if (!(error instanceof ApiError)) throw error;
    this.#result.textContent = error.message;
  }

  async #do(action) {
    this.#result.textContent = '';
    try {
      await action();
    } catch (error) {
      this.#say(error);
    }
    await this.#keepLooking();
  }

  // Only what has changed since: nobody loses the focus, or what was chosen.
  #show(media) {
    const now = JSON.stringify(media);
    if (now === this.#shown) return;
    this.#shown = now;
    const focused = document.activeElement?.id;
    const chosen = new Map([...this.#lists.querySelectorAll('select')].map(({ id, value }) => [id, value]));
    this.#problem.textContent = media.problem;
    this.#fetch.hidden = media.sources.length === 0;
    this.#sources.textContent = t('From: {hosts}', { hosts: media.sources.join(', ') });
    this.#lists.replaceChildren(
      ...media.drives.map((drive) => this.#drive(drive, media, chosen)),
      make('h3', { textContent: t('Images') }),
      this.#images(media),
      make('p', {
        className: 'hint',
        textContent: t('{used} of {most} are used; {left} are left.', {
          used: sizeOf(media.room.used),
          most: sizeOf(media.room.most),
          left: sizeOf(media.room.left),
        }),
      }),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  #drive(drive, { images, drives }, chosen) {
    const { number, kind, image, is_writable: isWritable } = drive;
    const row = make('fieldset', { className: 'media-row' }, make('legend', { textContent: nameOf(drive) }));
    if (image) {
      const way = isWritable ? t('the computer may write to it') : t('to be read only');
      const eject = (isForced) => callApi('POST', `/api/media/drives/${number}/eject`, { is_forced: isForced });
      const button = make('button', { type: 'button', id: `eject-${number}`, textContent: t('Eject') });
      button.addEventListener('click', () => this.#do(() => this.#eject(eject)));
      row.append(make('span', { textContent: `${image} · ${way}` }), button);
      return row;
    }
    const taken = drives.map((each) => each.image);
    const free = images.filter(({ name }) => !taken.includes(name)).map(({ name }) => name);
    const id = `image-${number}`;
    const options = free.length ? free.map((name) => new Option(name)) : [new Option(t('No image'), '')];
    const select = make('select', { id, ariaLabel: t('Image'), disabled: !free.length }, ...options);
    if (free.includes(chosen.get(id))) select.value = chosen.get(id);
    const button = make('button', { type: 'button', id: `insert-${number}`, textContent: t('Insert') });
    button.disabled = free.length === 0;
    const writable = make('input', { type: 'checkbox', id: `writable-${number}` });
    button.addEventListener('click', () =>
      this.#do(() =>
        callApi('PUT', `/api/media/drives/${number}`, { image: select.value, is_writable: writable.checked }),
      ),
    );
    row.append(select);
    if (kind === 'disk') row.append(make('label', {}, writable, t('The computer may write to it')));
    row.append(button);
    return row;
  }

  async #eject(eject) {
    try {
      await eject(false);
    } catch (error) {
      if (error.status !== 409 || !confirm(`${error.message} ${t('Eject by force?')}`)) throw error;
      await eject(true);
    }
  }

  #images({ images, uploads, downloads, drives }) {
    const list = make('ul', { className: 'media-images' });
    for (const { name, size, sha256 } of images) {
      const sum = sha256 && make('code', { textContent: `SHA-256 ${sha256}` });
      const item = make('li', {}, make('span', { textContent: `${name} · ${sizeOf(size)}` }), sum);
      if (this.#isAdmin && !drives.some(({ image }) => image === name)) {
        item.append(this.#remover(name, t('Delete'), 'images', t('Delete {name} for good?', { name })));
      }
      list.append(item);
    }
    const fetched = new Map(downloads.map((each) => [each.name, each]));
    for (const { name, size, offset } of uploads) {
      const values = { name, offset: sizeOf(offset), size: sizeOf(size) };
      const facts = fetched.has(name)
        ? t('{name}: {offset} of {size} have been fetched.', values)
        : t('{name}: {offset} of {size} have arrived. To go on, choose the same file.', values);
      const item = make('li', {}, sending?.name === name ? name : facts);
      const problem = fetched.get(name)?.problem;
      fetched.delete(name);
      if (problem) item.append(make('span', { className: 'paste-missing', textContent: problem }));
      if (problem && this.#isAdmin) item.append(this.#goOn(name));
      if (this.#isAdmin && sending?.name !== name) {
        item.append(this.#remover(name, t('Give up'), 'uploads', t('Delete {name} for good?', { name })));
      }
      list.append(item);
    }
    // Of which nothing is kept.
    for (const { name, problem } of fetched.values()) {
      const item = make('li', {}, `${name}: ${problem}`);
      if (this.#isAdmin) item.append(this.#remover(name, t('Give up'), 'uploads'));
      list.append(item);
    }
    return list;
  }

  #goOn(name) {
    const button = make('button', { type: 'button', textContent: t('Go on'), ariaLabel: `${t('Go on')}: ${name}` });
    button.addEventListener('click', () => this.#do(() => callApi('POST', '/api/media/downloads', { url: '', name })));
    return button;
  }

  #remover(name, label, folder, question) {
    const button = make('button', { type: 'button', textContent: label, ariaLabel: `${label}: ${name}` });
    button.addEventListener('click', () => {
      if (!question || confirm(question))
        this.#do(() => callApi('DELETE', `/api/media/${folder}/${encodeURIComponent(name)}`));
    });
    return button;
  }

  async #send(file) {
    if (!file || sending) return;
    const name = imageName(file.name);
    sending = { name, file };
    this.#file.disabled = true;
    this.#progress.hidden = false;
    this.#progress.max = Math.max(file.size, 1);
    this.#progress.classList.add('media-sending');
    this.#result.textContent = t('Uploading {name}. You can close this dialog, but not the page.', { name });
    const wanted = { name, size: file.size, tag: String(file.lastModified) };
    try {
      const sha256 = await upload(file, {
        begin: async () => {
          // Somebody may have logged in again meanwhile.
          await fetchSession();
          return callApi('POST', '/api/media/uploads', wanted);
        },
        send: (offset, piece) => callApi('PUT', `/api/media/uploads/${encodeURIComponent(name)}/${offset}`, piece),
        noteProgress: (offset) => {
          this.#progress.value = offset;
        },
        pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      });
      const image = name.replace(/\.(xz|gz|zst)$/i, '');
      this.#result.textContent = t('{name} has arrived. SHA-256: {sha256}', { name: image, sha256 });
    } catch (error) {
      this.#say(error);
    } finally {
      sending = null;
      this.#file.disabled = false;
      this.#file.value = '';
      this.#progress.hidden = true;
      this.#progress.classList.remove('media-sending');
      this.#shown = '';
      if (this.#dialog.open) this.#keepLooking();
    }
  }
}
