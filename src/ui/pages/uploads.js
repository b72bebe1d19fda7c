// The list of files that are being uploaded from this page.

import { announce, element, iconButton, setText } from './elements.js';
import { Upload, fingerprint } from './tus.js';
import { bytes, percent, timeLeft } from './words.js';

const AT_ONCE = 2;
const RATE_WINDOW_MS = 8000;

// How fast bytes went lately. A view of the last seconds, so that it follows the network and still
// can be read.
class Rate {
  constructor() {
    this.samples = [];
  }

  add(total) {
    const now = performance.now();
    this.samples.push({ now, total });
    while (this.samples.length > 2 && now - this.samples[0].now > RATE_WINDOW_MS) this.samples.shift();
  }

  // Bytes a second, or null while it isn't known.
  get bytesPerSecond() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    if (!first || last.now - first.now < 500) return null;
    return Math.max(0, (last.total - first.total) / ((last.now - first.now) / 1000));
  }
}

// `list` is the <ul>; `onUploaded(asset id)` is called when all bytes of a file arrived,
// `onChange` when the set of assets that are being uploaded here changed.
export class Uploads {
  constructor(list, { onUploaded, onChange }) {
    this.list = list;
    this.onUploaded = onUploaded;
    this.onChange = onChange;
    this.rows = [];
    window.addEventListener('beforeunload', (event) => {
      if (this.rows.some((row) => row.upload.running)) event.preventDefault();
    });
  }

  // The assets whose bytes come from this page.
  get assets() {
    return this.rows.map((row) => row.upload.asset).filter((id) => id !== null);
  }

  // Takes files; sentences about those that it doesn't take.
  add(files) {
    const refusals = [];
    for (const file of files) {
      const known = this.rows.some((row) => fingerprint(row.upload.file) === fingerprint(file));
      if (known) refusals.push(`${file.name} is being uploaded already.`);
      else if (file.size === 0) refusals.push(`${file.name} is empty.`);
      else this.addRow(file);
    }
    this.startNext();
    return refusals;
  }

  addRow(file) {
    const row = new Row(file, {
      onChange: () => this.changed(row),
      onResume: () => {
        row.upload.become('queued');
        this.startNext();
      },
      onDismiss: () => this.drop(row),
    });
    this.rows.push(row);
    this.list.append(row.node);
    row.show();
  }

  startNext() {
    const running = this.rows.filter((row) => row.upload.running).length;
    const queued = this.rows.filter((row) => row.upload.state === 'queued');
    for (const row of queued.slice(0, Math.max(0, AT_ONCE - running))) {
      row.upload.run().then(() => this.startNext());
    }
  }

  changed(row) {
    row.show();
    const { state, asset, file } = row.upload;
    if (asset !== row.knownAsset) {
      row.knownAsset = asset;
      this.onChange();
    }
    if (state === 'done') {
      announce(`${file.name} is uploaded.`);
      this.drop(row);
      this.onUploaded(asset);
    } else if (state === 'cancelled') {
      this.drop(row);
    } else if (state === 'failed') {
      announce(`The upload of ${file.name} failed. ${row.upload.message}`);
    }
  }

  drop(row) {
    const hadFocus = row.node.contains(document.activeElement);
    this.rows = this.rows.filter((other) => other !== row);
    row.node.remove();
    if (hadFocus) (this.list.querySelector('button') ?? document.querySelector('#choose')).focus();
    this.onChange();
    this.startNext();
  }
}

class Row {
  constructor(file, { onChange, onResume, onDismiss }) {
    this.upload = new Upload(file, onChange);
    this.rate = new Rate();
    this.knownAsset = this.upload.asset;
    this.bar = element('progress', { max: file.size, 'aria-label': `Upload of ${file.name}` });
    this.note = element('span', { class: 'upload-note' });
    this.pause = iconButton('pause', `Pause the upload of ${file.name}`, () => this.upload.pause());
    this.resume = iconButton('resume', `Go on with the upload of ${file.name}`, onResume);
    this.cancel = iconButton('close', `Cancel the upload of ${file.name}`, () => {
      if (this.upload.state === 'failed') onDismiss();
      else this.upload.cancel();
    });
    this.node = element('li', { class: 'upload' },
      element('div', { class: 'upload-words' },
        element('span', { class: 'upload-name', title: file.name }, file.name), this.note),
      element('div', { class: 'upload-buttons' }, this.pause, this.resume, this.cancel),
      this.bar);
  }

  show() {
    const { state } = this.upload;
    if (state === 'sending') this.rate.add(this.upload.sent);
    else this.rate = new Rate();
    this.bar.value = this.upload.sent;
    this.node.dataset.state = state;
    const resumable = state === 'paused' || state === 'failed';
    this.swapFocus(resumable ? this.pause : this.resume, resumable ? this.resume : this.pause);
    this.pause.hidden = resumable;
    this.resume.hidden = !resumable;
    setText(this.note, this.words());
  }

  // Keeps the focus where one of the two buttons takes the other's place.
  swapFocus(from, to) {
    if (document.activeElement !== from) return;
    to.hidden = false;
    to.focus();
  }

  words() {
    const { state, sent, file, message } = this.upload;
    const part = `${percent(sent, file.size)} % of ${bytes(file.size)}`;
    switch (state) {
      case 'queued': return `Waiting for its turn, ${bytes(file.size)}`;
      case 'starting': return 'Starting';
      case 'waiting': return `${part}. ${message}, trying again`;
      case 'paused': return `${part}. Paused`;
      case 'failed': return message;
      default: return `${part}${this.pace()}`;
    }
  }

  pace() {
    if (this.upload.sent >= this.upload.file.size) return ', finishing';
    const rate = this.rate.bytesPerSecond;
    if (!rate) return '';
    return `, ${bytes(rate)}/s, ${timeLeft((this.upload.file.size - this.upload.sent) / rate)}`;
  }
}
