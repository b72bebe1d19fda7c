// A seek bar with pictures: what is at the pointer, or where the arrow keys lead.

import { byId, setText } from './elements.js';
import * as words from './words.js';

// The thumbnails of the stream at `url`: { start, end, url } in order; none before all is made.
// Its I-frame variant of JPEGs leads to their folder.
export async function thumbnailsOf(url) {
  try {
    const playlist = await textAt(url);
    const line = playlist.split('\n').find((text) => (
      text.startsWith('#EXT-X-I-FRAME-STREAM-INF:') && text.includes('CODECS="mjpg"')));
    const uri = line?.match(/[:,]URI="([^"]+)"/)?.[1];
    if (!uri) return [];
    const list = new URL(uri, new URL(url, location.href));
    const { search } = list;
    const cues = new URL('thumbnails.vtt', list);
    cues.search = search;
    return read(await textAt(cues), cues, search);
  } catch {
    return []; // Without pictures the player's own seek bar is as good.
  }
}

async function textAt(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.text();
}

// A signed query of the list is that of the pictures, too.
function read(text, base, search) {
  const thumbnails = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const [, from, to, name] = block.match(/([\d:.]+) --> ([\d:.]+)[^\n]*\n(\S+)/) ?? [];
    if (!name) continue;
    const url = new URL(name, base);
    url.search = search;
    thumbnails.push({ start: seconds(from), end: seconds(to), url: url.href });
  }
  return thumbnails;
}

function seconds(time) {
  return time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

export class SeekBar {
  constructor(video) {
    this.video = video;
    this.thumbnails = [];
    this.bar = byId('seek-bar');
    this.preview = byId('seek-preview');
    this.picture = byId('seek-picture');
    this.held = false;
    this.bar.addEventListener('pointermove', (event) => this.showAt(this.pointed(event)));
    this.bar.addEventListener('pointerleave', () => { if (!this.held) this.hide(); });
    this.bar.addEventListener('blur', () => this.hide());
    this.bar.addEventListener('input', () => {
      this.held = true;
      this.showAt(Number(this.bar.value));
    });
    this.bar.addEventListener('change', () => this.seek());
    this.bar.addEventListener('keydown', (event) => { if (event.key === 'Escape') this.hide(); });
    for (const name of ['timeupdate', 'seeking', 'durationchange', 'loadedmetadata']) {
      video.addEventListener(name, () => this.follow());
    }
    this.picture.addEventListener('load', () => this.place());
  }

  // Shows the bar where there are pictures.
  use(thumbnails) {
    this.thumbnails = thumbnails;
    byId('seek').hidden = thumbnails.length === 0;
    this.follow();
  }

  get length() {
    const { duration } = this.video;
    return Number.isFinite(duration) && duration > 0 ? duration : this.thumbnails.at(-1)?.end ?? 0;
  }

  follow() {
    if (this.held || byId('seek').hidden) return;
    this.bar.max = String(this.length);
    this.bar.value = String(this.video.currentTime);
    this.tell(this.video.currentTime);
  }

  seek() {
    this.video.currentTime = Number(this.bar.value);
    this.held = false;
  }

  tell(time) {
    const told = `${words.duration(time)} of ${words.duration(this.length)}`;
    this.bar.setAttribute('aria-valuetext', told);
    this.bar.style.setProperty('--done', `${(100 * time) / Math.max(this.length, 0.001)}%`);
  }

  // The time under the pointer: the middle of the knob goes from half its width to half its width
  // before the end.
  pointed(event) {
    const { left, width } = this.bar.getBoundingClientRect();
    const knob = 16;
    const share = (event.clientX - left - knob / 2) / Math.max(width - knob, 1);
    return Math.min(Math.max(share, 0), 1) * this.length;
  }

  showAt(time) {
    const shown = this.thumbnails.find(({ end }) => time < end) ?? this.thumbnails.at(-1);
    if (!shown) return;
    this.time = time;
    if (this.picture.src !== shown.url) this.picture.src = shown.url;
    setText(byId('seek-time'), words.duration(Math.floor(time)));
    this.preview.hidden = false;
    if (this.held) this.tell(time);
    this.place();
  }

  // Above the place it shows, within the bar.
  place() {
    if (this.preview.hidden) return;
    const { width } = this.bar.getBoundingClientRect();
    const own = this.preview.offsetWidth;
    const at = 8 + (this.time / Math.max(this.length, 0.001)) * (width - 16);
    const left = Math.min(Math.max(at - own / 2, 0), Math.max(width - own, 0));
    this.preview.style.left = `${left}px`;
  }

  hide() {
    this.held = false;
    this.preview.hidden = true;
  }
}
