// A client of tus 1.0.0 (https://tus.io/protocols/resumable-upload): one file, sent in pieces, that
// goes on after a lost connection and, when the same file is chosen again, after a reload.

import { ApiError, authorization, key, problemOf, renewKey } from './api.js';
import { status as statusWords } from './words.js';

const ENDPOINT = '/api/v1/uploads';
const VERSION = '1.0.0';
const PIECE_BYTES = 16 * 1024 * 1024;
// A connection on which nothing moves for so long is taken for lost.
const SILENCE_MS = 60_000;
const LONGEST_WAIT_MS = 30_000;
const MEMORY_PREFIX = 'headwater-upload:';
const MEMORY_MS = 7 * 24 * 3600 * 1000;

// What makes a file the same file after a reload.
export function fingerprint(file) {
  return `${file.name}|${file.size}|${file.lastModified}`;
}

// ---- what is remembered of unfinished uploads

function remembered(file) {
  try {
    const { url, at } = JSON.parse(localStorage.getItem(MEMORY_PREFIX + fingerprint(file)));
    return Date.now() - at < MEMORY_MS ? url : null;
  } catch {
    return null;
  }
}

function remember(file, url) {
  try {
    localStorage.setItem(MEMORY_PREFIX + fingerprint(file), JSON.stringify({ url, at: Date.now() }));
  } catch {
    // No storage: after a reload the upload starts anew.
  }
}

function forget(file) {
  try {
    localStorage.removeItem(MEMORY_PREFIX + fingerprint(file));
  } catch {
    // Nothing was remembered either.
  }
}

// ---- one file

// `state` is one of: queued, starting, sending, waiting (for the connection), paused, done, failed,
// cancelled. `onChange` is called when anything changes.
export class Upload {
  constructor(file, onChange) {
    this.file = file;
    this.onChange = onChange;
    this.state = 'queued';
    this.sent = 0;
    this.message = '';
    this.url = remembered(file);
    // Asked for before anything is sent on.
    this.offsetKnown = false;
    this.exchange = null;
    this.wakeUp = null;
  }

  // The asset that the file becomes: an upload is named like its asset.
  get asset() {
    return this.url?.split('/').pop() ?? null;
  }

  get running() {
    return ['starting', 'sending', 'waiting'].includes(this.state);
  }

  pause() {
    this.stop('paused');
  }

  // Gives up and has the server drop what arrived.
  async cancel() {
    this.stop('cancelled');
    forget(this.file);
    if (this.url) await this.send('DELETE', this.url, {}).catch(() => {});
  }

  stop(state) {
    this.become(state);
    this.exchange?.abort();
    this.wakeUp?.();
  }

  become(state, message = '') {
    this.state = state;
    this.message = message;
    this.onChange(this);
  }

  // Sends what is missing. Resolves when it is done, paused, cancelled or failed.
  async run() {
    let failures = 0;
    const moved = () => { failures = 0; };
    this.become('starting');
    while (this.running) {
      try {
        await this.sendRest(moved);
        if (!this.running) return;
        forget(this.file);
        this.become('done');
      } catch (error) {
        if (!this.running) return;
        this.offsetKnown = false;
        failures += 1;
        await this.overcome(error, failures);
      }
    }
  }

  async sendRest(moved) {
    if (!this.url) await this.create();
    else if (!this.offsetKnown) await this.findOffset();
    while (this.running && this.sent < this.file.size) {
      this.become('sending');
      await this.sendPiece();
      moved();
    }
  }

  // Waits where trying again may help, starts anew where the upload is gone, or fails.
  async overcome(error, failures) {
    const gone = [404, 410].includes(error.status);
    if (gone && this.url && failures < 3) {
      forget(this.file);
      this.url = null;
      this.sent = 0;
      return;
    }
    if (!await isReadable(this.file)) {
      this.become('failed', "The file can't be read any more. Was it moved or changed? Choose it again.");
      return;
    }
    // 409: the server has another offset than we thought; it was asked for again.
    if (error.status === 409 ? failures > 5 : !error.passing) {
      if (error.status !== 401) forget(this.file);
      this.become('failed', error.message);
      return;
    }
    const seconds = error.retryAfterSeconds ?? Math.min(LONGEST_WAIT_MS, 500 * 2 ** failures) / 1000;
    this.become('waiting', error.status === 0 ? 'Connection lost' : error.message);
    await this.rest(seconds * 1000);
  }

  // Until the time is over, the browser is online again, or somebody stops the upload.
  rest(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wakeUp(), ms);
      this.wakeUp = () => {
        clearTimeout(timer);
        window.removeEventListener('online', this.wakeUp);
        this.wakeUp = null;
        resolve();
      };
      window.addEventListener('online', this.wakeUp);
    });
  }

  async create() {
    const response = await this.send('POST', ENDPOINT, {
      'Upload-Length': this.file.size,
      'Upload-Metadata': metadata({
        filename: this.file.name, filetype: this.file.type, title: stem(this.file.name),
      }),
    });
    const place = response.header('Location');
    if (!place) throw new ApiError(response.status, "The server didn't say where to send the file.");
    // The path only: a proxy before the server may have another scheme or port than it knows of.
    this.url = new URL(place, new URL(ENDPOINT, location.href)).pathname;
    this.sent = 0;
    this.offsetKnown = true;
    remember(this.file, this.url);
  }

  async findOffset() {
    const response = await this.send('HEAD', this.url, {});
    const length = Number(response.header('Upload-Length') ?? this.file.size);
    if (length !== this.file.size) throw new ApiError(410, 'The file has another size than before.');
    this.sent = Number(response.header('Upload-Offset'));
    this.offsetKnown = true;
  }

  async sendPiece() {
    const from = this.sent;
    const piece = this.file.slice(from, from + PIECE_BYTES);
    const headers = { 'Upload-Offset': from, 'Content-Type': 'application/offset+octet-stream' };
    const response = await this.send('PATCH', this.url, headers, piece, (loaded) => {
      this.sent = from + loaded;
      this.onChange(this);
    });
    const offset = Number(response.header('Upload-Offset'));
    if (!(offset > from)) throw new ApiError(409, 'The server took nothing of what was sent.');
    this.sent = offset;
  }

  // One exchange. XMLHttpRequest, because fetch can't tell how much of a body is sent.
  async send(method, url, headers, body = null, onLoaded = null) {
    for (;;) {
      const used = key();
      const response = await this.exchanged(method, url, { ...headers, ...authorization() }, body, onLoaded);
      if (response.status === 401 && await renewKey(used)) continue;
      if (response.status < 200 || response.status > 299) {
        throw problemOf(response.status, response.text, response.header('Retry-After'));
      }
      return response;
    }
  }

  exchanged(method, url, headers, body, onLoaded) {
    const exchange = new XMLHttpRequest();
    this.exchange = exchange;
    return new Promise((resolve, reject) => {
      let silence;
      const listen = () => {
        clearTimeout(silence);
        silence = setTimeout(() => exchange.abort(), SILENCE_MS);
      };
      exchange.open(method, url);
      exchange.setRequestHeader('Tus-Resumable', VERSION);
      for (const [name, value] of Object.entries(headers)) exchange.setRequestHeader(name, value);
      exchange.upload.addEventListener('progress', (event) => {
        listen();
        onLoaded?.(event.loaded);
      });
      exchange.addEventListener('load', () => resolve({
        status: exchange.status,
        text: exchange.responseText,
        header: (name) => exchange.getResponseHeader(name),
      }));
      const lost = () => reject(new ApiError(0, statusWords(0)));
      exchange.addEventListener('error', lost);
      exchange.addEventListener('abort', lost);
      exchange.addEventListener('loadend', () => clearTimeout(silence));
      listen();
      exchange.send(body);
    });
  }
}

// Whether the browser can still read the file: one that was moved, deleted or changed looks to a
// request like a lost connection.
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

// A name without its ending.
export function stem(name) {
  return name.replace(/(.)\.[a-z0-9]{1,5}$/i, '$1');
}

// Upload-Metadata: pairs of a name and a base64 value of UTF-8 text; empty ones are left out.
export function metadata(values) {
  const pairs = Object.entries(values).filter(([, text]) => text);
  return pairs.map(([name, text]) => `${name} ${base64(text)}`).join(',');
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
