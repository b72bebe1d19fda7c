// Numbers, states and errors in words.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

// A size in bytes: "12.3 MB".
export function bytes(count) {
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : rounded(value)} ${UNITS[unit]}`;
}

// Bits a second: "2.1 Mb/s".
export function bitrate(bits) {
  if (bits >= 999_500) return `${rounded(bits / 1e6)} Mb/s`;
  return `${Math.round(bits / 1000)} kb/s`;
}

function rounded(value) {
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

// A length in seconds: "4:05", "1:02:03".
export function duration(seconds) {
  const whole = Math.round(seconds);
  const pad = (value) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours > 0) return `${hours}:${pad(minutes)}:${pad(whole % 60)}`;
  return `${minutes}:${pad(whole % 60)}`;
}

// A time to wait: "34 s left".
export function timeLeft(seconds) {
  if (seconds < 1) return 'almost done';
  if (seconds < 90) return `${Math.ceil(seconds)} s left`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 90) return `${minutes} min left`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

// A whole percentage that is 100 only when all is done.
export function percent(done, total) {
  if (!total) return 0;
  return Math.min(done >= total ? 100 : 99, Math.floor((done / total) * 100));
}

export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

// A point in time as people around here write it.
export function date(text) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return '';
  return new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(time);
}

// "German" for "de", where the browser knows it.
export function language(tag) {
  if (!tag || tag === 'und') return 'Unknown language';
  try {
    return new Intl.DisplayNames(undefined, { type: 'language' }).of(tag);
  } catch {
    return tag;
  }
}

// How tall a picture is called: by its short side, which is the height unless it stands upright.
export function rung({ width, height }) {
  if (!height) return 'Sound';
  return `${width ? Math.min(width, height) : height}p`;
}

export function title(asset) {
  return asset.title || 'Untitled';
}

// The state of an asset in a few words.
export function state(asset) {
  const { segments_done: done = 0, segments_total: total = 0 } = asset.progress ?? {};
  switch (asset.state) {
    case 'uploading': return 'Receiving the file';
    case 'indexing': return 'Getting ready';
    case 'ready': return total > 0 ? `Playable, encoding ${percent(done, total)} %` : 'Playable, encoding';
    case 'complete': return 'Complete';
    case 'failed': return 'Failed';
    default: return asset.state;
  }
}

export function isPlayable(asset) {
  return asset.state === 'ready' || asset.state === 'complete';
}

// Whether the state will change by itself.
export function isMoving(asset) {
  return asset.state !== 'complete' && asset.state !== 'failed';
}

// A sentence out of a message that begins lower case and has no full stop.
export function sentence(message) {
  const text = message.trim();
  if (text === '') return text;
  const first = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

// What an answer without words of its own means.
export function status(code) {
  switch (code) {
    case 0: return "The server can't be reached. Check that it is running and that you are online.";
    case 401: return 'The server asks for an API key.';
    case 403: return 'You may not do that here.';
    case 404: return 'There is no such video. It may have been deleted.';
    case 409: return 'Something else changed this at the same time. Try again.';
    case 413: return 'The file is larger than this server takes.';
    case 415: return "The server doesn't take this kind of file.";
    case 429: return 'The server is busy with others. Try again in a moment.';
    case 503: return 'The server is busy. Try again in a moment.';
    case 507: return 'The disk of the server is full.';
    default:
      return code >= 500 ? `The server made an error (${code}).` : `The server refused this (${code}).`;
  }
}
