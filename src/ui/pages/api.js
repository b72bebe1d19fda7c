// The API of the server: requests with the key, errors in plain words, events of an asset.

import { askForKey } from './dialogs.js';
import { sentence, status as statusWords } from './words.js';

const BASE = '/api/v1';
const KEY_NAME = 'headwater-key';

// An answer that is no success. `status` 0: there was none.
export class ApiError extends Error {
  constructor(status, message, retryAfterSeconds = null) {
    super(message);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  // Whether the same request may succeed later.
  get passing() {
    return [0, 408, 425, 423, 429, 502, 503, 504].includes(this.status);
  }
}

// ---- the key

// Some browsers throw at any touch of the storage, for example in a frame of another site.
function stored(storage) {
  try {
    return window[storage].getItem(KEY_NAME);
  } catch {
    return null;
  }
}

export function key() {
  return stored('sessionStorage') ?? stored('localStorage');
}

export function keepKey(text, remember) {
  for (const storage of ['sessionStorage', 'localStorage']) window[storage].removeItem(KEY_NAME);
  if (text) window[remember ? 'localStorage' : 'sessionStorage'].setItem(KEY_NAME, text);
  window.dispatchEvent(new Event('keychange'));
}

export function authorization() {
  const text = key();
  return text ? { Authorization: `Bearer ${text}` } : {};
}

let asking = null;
let declined = false;

// Makes sure that there is another key than `used`, which was refused. One dialog for all
// requests that were refused meanwhile; a person who closed it isn't asked again by itself.
export async function renewKey(used) {
  if (key() !== used) return true;
  if (declined) return false;
  asking ??= enterKey(used !== null).finally(() => { asking = null; });
  return asking;
}

// Asks for a key and keeps it. True if one was given.
export async function enterKey(refused = false) {
  const answer = await askForKey({ refused, remembered: stored('localStorage') !== null });
  declined = answer === null;
  if (answer) keepKey(answer.key, answer.remember);
  return answer !== null;
}

// ---- requests

// `options` are those of fetch, and `quiet`: ask for no key. Throws an ApiError.
export async function request(path, { quiet = false, headers = {}, ...options } = {}) {
  for (;;) {
    const used = key();
    const response = await answer(path, { ...options, headers: { ...headers, ...authorization() } });
    if (response.status === 401 && !quiet && await renewKey(used)) continue;
    if (!response.ok) throw await problem(response);
    return response;
  }
}

async function answer(path, options) {
  try {
    return await fetch(BASE + path, { cache: 'no-store', ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, statusWords(0));
  }
}

async function problem(response) {
  const text = await response.text().catch(() => '');
  return problemOf(response.status, text, response.headers.get('Retry-After'));
}

// The error in an answer: RFC 9457 details where it has them.
export function problemOf(status, text, retryAfter) {
  const after = /^\d+$/.test(retryAfter ?? '') ? Number(retryAfter) : null;
  try {
    const { detail, title } = JSON.parse(text);
    // For these our own words say more than the server's.
    const message = [401, 404].includes(status) ? null : detail ?? title;
    if (message) return new ApiError(status, sentence(message), after);
  } catch {
    // Not from our server, but from a proxy before it.
  }
  return new ApiError(status, statusWords(status), after);
}

const assetPath = (id) => `/assets/${encodeURIComponent(id)}`;

export async function asset(id, options) {
  return (await request(assetPath(id), options)).json();
}

// A page of the library, newest first: { assets, next }.
export async function assets(cursor, limit) {
  const query = new URLSearchParams({ limit });
  if (cursor) query.set('cursor', cursor);
  return (await request(`/assets?${query}`)).json();
}

export async function remove(id) {
  await request(assetPath(id), { method: 'DELETE' });
}

export async function retry(id) {
  await request(`${assetPath(id)}/retry`, { method: 'POST' });
}

// Has the server fetch a video from a URL; the asset.
export async function pull(url) {
  const response = await request('/assets', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ source: { url } }),
  });
  return response.json();
}

export async function addCaptions(id, language, file) {
  const type = /\.srt$/i.test(file.name) ? 'application/x-subrip' : 'text/vtt';
  await request(`${assetPath(id)}/text?${new URLSearchParams({ lang: language })}`, {
    method: 'POST', headers: { 'Content-Type': type }, body: file,
  });
}

// Where a stream is, as seen from here. The server names itself by the Host it was asked for, and
// can't know that a proxy before it speaks TLS.
export function reachable(url) {
  if (!url) return url;
  const there = new URL(url, location.href);
  return there.host === location.host ? location.origin + there.pathname + there.search : there.href;
}

// ---- events

const SILENCE_MS = 60_000;
const LONGEST_WAIT_MS = 30_000;

const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Calls `onEvent(name, data)` for all that happens to an asset, until `signal` says stop. It is
// fetch rather than EventSource, which can't send a key. After a lost connection it calls with
// the name "again", because something may have been missed.
export async function follow(id, onEvent, signal) {
  let last = null;
  let failures = 0;
  while (!signal.aborted) {
    try {
      for await (const event of eventsOnce(id, last, signal)) {
        failures = 0;
        last = event.id ?? last;
        onEvent(event.name, event.data);
      }
    } catch (error) {
      if (signal.aborted) return;
      if ([401, 403, 404, 410].includes(error.status)) {
        onEvent('again', null);
        return;
      }
    }
    failures += 1;
    await wait(Math.min(LONGEST_WAIT_MS, 500 * 2 ** failures));
    if (!signal.aborted) onEvent('again', null);
  }
}

async function* eventsOnce(id, last, signal) {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal.addEventListener('abort', abort);
  let silence = setTimeout(abort, SILENCE_MS);
  try {
    const headers = { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': last } : {}) };
    const response = await request(`${assetPath(id)}/events`, { headers, quiet: true, signal: stop.signal });
    // 204: nothing more will happen.
    if (!response.body) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(abort, SILENCE_MS);
      const blocks = (rest + value).replaceAll('\r\n', '\n').split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parsedEvent(block);
        if (event) yield event;
      }
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', abort);
    stop.abort();
  }
}

// One block of an event stream, or null for a comment. Data that is no JSON is null.
export function parsedEvent(block) {
  const fields = { event: 'message', data: [] };
  for (const line of block.split('\n')) {
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (name === 'data') fields.data.push(value ?? '');
    else if (name) fields[name] = value ?? '';
  }
  if (fields.data.length === 0) return null;
  let data = null;
  try {
    data = JSON.parse(fields.data.join('\n'));
  } catch {
    // The name alone says enough.
  }
  return { id: fields.id, name: fields.event, data };
}
