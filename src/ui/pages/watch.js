// The page `/watch/{id}`: plays one video, and shows what is played and how it is doing.

import * as api from './api.js';
import { captionsForm, showCaptions } from './captions.js';
import { chaptersOf, markChapter, showChapters } from './chapters.js';
import { announce, byId, element, icon, iconAddress, setText } from './elements.js';
import { Player } from './player.js';
import { SeekBar, thumbnailsOf } from './thumbnails.js';
import * as words from './words.js';

const FIGURES_MS = 500;
const POLL_MS = 5000;

const id = decodeURIComponent(location.pathname.split('/').pop());
// Where streams are, if not here; the server fills this in.
const mediaBase = document.querySelector('meta[name="headwater-media"]').content || location.origin;
const video = byId('video');
const player = new Player(video);
const seekBar = new SeekBar(video);
let asset = null;
let following = null;

// ---- the asset

async function refresh() {
  try {
    show(await api.asset(id, { quiet: true }));
  } catch (error) {
    if (error.status === 401 || error.status === 403) return showLocked();
    if (error.status === 404) return showNothing('This video is not here', error.message);
    setText(byId('state'), `${error.message} Trying again.`);
    setTimeout(refresh, POLL_MS);
  }
  return undefined;
}

function show(news) {
  const before = asset;
  asset = news;
  byId('locked').hidden = true;
  document.title = `${words.title(asset)} · Headwater`;
  setText(byId('title'), words.title(asset));
  const facts = [asset.duration_s ? words.duration(asset.duration_s) : '', words.date(asset.created_at)];
  setText(byId('facts'), facts.filter(Boolean).join(' · '));
  showState();
  showWarnings();
  if (before && before.state !== asset.state) announce(words.state(asset));
  if (asset.state === 'failed') showFailure();
  else if (words.isPlayable(asset)) showPlayable();
  else showWaiting();
  if (words.isMoving(asset)) follow();
  else unfollow();
}

function showState() {
  setText(byId('state'), words.state(asset));
  byId('state').dataset.state = asset.state;
  const { segments_done: done = 0, segments_total: total = 0 } = asset.progress ?? {};
  byId('progress').hidden = !['indexing', 'ready'].includes(asset.state);
  if (total > 0) byId('progress').value = done / total;
  else byId('progress').removeAttribute('value');
}

function showWarnings() {
  const warnings = asset.warnings ?? [];
  byId('warnings').hidden = warnings.length === 0;
  byId('warnings-list').replaceChildren(...warnings.map((text) => element('li', {}, words.sentence(text))));
}

function follow() {
  if (following) return;
  following = new AbortController();
  const { signal } = following;
  api.follow(id, onEvent, signal);
}

function unfollow() {
  following?.abort();
  following = null;
}

function onEvent(name, data) {
  if (name === 'progress' && data && Number.isFinite(data.segments_done) && asset) {
    asset.progress = { ...asset.progress, ...data };
    showState();
    return;
  }
  // The event holds the asset as it is.
  if (name === 'state' && data?.id === id) {
    show(data);
    return;
  }
  if (name === 'removed') {
    unfollow();
    showNothing('This video was deleted', 'Somebody deleted it just now.');
    return;
  }
  if (name === 'captions') reloadSoon();
  refresh();
}

// ---- what the stage shows: the player, or why there is none

function showStage({ title = '', text = '', tone = '', actions = [] }) {
  byId('message').hidden = title === '';
  byId('message').className = `stage-message ${tone}`;
  byId('message-icon').setAttribute('href', iconAddress(tone === 'bad' ? 'broken' : 'film'));
  setText(byId('message-title'), title);
  setText(byId('message-text'), text);
  byId('message-actions').replaceChildren(...actions);
  video.hidden = title !== '';
}

function showWaiting() {
  const arriving = asset.state === 'uploading';
  showStage({
    title: arriving ? 'The file is still arriving' : 'Getting ready',
    text: arriving
      ? 'It plays here as soon as all of it is there.'
      : 'The file is being read. It plays here within a few seconds.',
  });
}

function showFailure() {
  player.release();
  const retry = element('button', { type: 'button', class: 'button primary', onclick: tryAgain }, 'Try again');
  const text = words.sentence(asset.error?.message ?? 'the server gave no reason');
  showStage({ title: "This video can't be played", text, tone: 'bad', actions: [retry] });
  byId('side').hidden = true;
  byId('share').hidden = true;
}

async function tryAgain(event) {
  event.target.disabled = true;
  try {
    await api.retry(id);
    unfollow();
    refresh();
  } catch (error) {
    setText(byId('message-text'), `It can't be tried again. ${error.message}`);
    event.target.disabled = false;
  }
}

function showNothing(title, text) {
  player.release();
  const back = element('a', { class: 'button', href: '/' }, 'To the library');
  showStage({ title, text, tone: 'bad', actions: [back] });
  setText(byId('title'), title);
  for (const part of ['side', 'share', 'progress', 'warnings', 'locked', 'state', 'facts']) byId(part).hidden = true;
}

function showPlayable() {
  showStage({});
  byId('side').hidden = false;
  byId('share').hidden = false;
  const { hls, dash, poster, page } = asset.playback;
  start(api.reachable(hls), api.reachable(poster));
  if (asset.state === 'complete') showSeekBar(api.reachable(hls));
  showAddresses(api.reachable(hls), api.reachable(dash), api.reachable(page));
}

// Without a key the API says nothing, but streams are public: they can be played all the same.
function showLocked() {
  const folder = `${mediaBase}/v/${id}`;
  byId('locked').hidden = false;
  byId('captions-box').hidden = true;
  showStage({});
  byId('side').hidden = false;
  byId('share').hidden = false;
  setText(byId('title'), 'Video');
  start(`${folder}/index.m3u8`, null);
  showSeekBar(`${folder}/index.m3u8`);
  showAddresses(`${folder}/index.m3u8`, `${folder}/manifest.mpd`, location.origin + location.pathname);
}

byId('unlock').addEventListener('click', async () => {
  if (!await api.enterKey()) return;
  byId('captions-box').hidden = false;
  refresh();
});

// ---- playing

function start(url, poster) {
  if (player.url === url) return;
  if (poster) video.poster = poster;
  player.load(url);
  const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (!calm) player.play();
}

// There are no pictures to seek by before all is made.
async function showSeekBar(url) {
  if (seekBar.thumbnails.length === 0) seekBar.use(await thumbnailsOf(url));
}

// Captions that were added here are told of twice: by the answer and by an event.
let reloading;
function reloadSoon() {
  clearTimeout(reloading);
  reloading = setTimeout(() => player.reload(), 300);
}

player.addEventListener('trouble', ({ detail: { message, final } }) => {
  setText(byId('trouble'), message);
  byId('trouble').hidden = false;
  if (final) player.release();
});
player.addEventListener('well', () => { byId('trouble').hidden = true; });
player.addEventListener('loaded', async () => {
  showChapters(video, await chaptersOf(player).catch(() => ({ chapters: [], textUrl: null })));
});
video.addEventListener('timeupdate', () => markChapter(video.currentTime));
player.addEventListener('rungs', () => {
  showRungs();
  showCaptions(player.captions);
});

function showRungs() {
  const { rungs, chosen } = player;
  const wanted = rungs.map(({ index, bitrate }) => `${index}:${bitrate}`).join();
  const list = byId('rungs');
  if (list.dataset.shows !== wanted) {
    list.dataset.shows = wanted;
    const sizes = rungs.map(({ width, height, bitrate, index }) => (
      rungChoice(index, words.rung({ width, height }), `up to ${words.bitrate(bitrate)}`)));
    list.replaceChildren(rungChoice(-1, 'Auto', 'as the network allows'), ...sizes);
  }
  byId('quality').hidden = rungs.length === 0;
  for (const input of list.querySelectorAll('input')) input.checked = Number(input.value) === chosen;
}

function rungChoice(index, name, detail) {
  const input = element('input', { type: 'radio', name: 'rung', value: index });
  input.addEventListener('change', () => player.choose(index));
  return element('label', { class: 'rung' }, input,
    element('span', { class: 'rung-name' }, name), element('span', { class: 'rung-detail' }, detail));
}

function showFigures() {
  const figures = player.figures;
  const known = (value, text) => (value === null ? '–' : text(value));
  const values = {
    playing: known(figures.height, () => words.rung(figures)),
    bitrate: known(figures.bitrate, words.bitrate),
    buffer: `${figures.bufferSeconds.toFixed(1)} s`,
    stalls: String(figures.stalls),
    dropped: known(figures.frames, (frames) => `${figures.droppedFrames} of ${frames}`),
    first: known(figures.firstFrameMs, (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)),
    bandwidth: known(figures.bandwidth, words.bitrate),
  };
  for (const [name, text] of Object.entries(values)) setText(byId(`figure-${name}`), text);
  for (const label of byId('rungs').children) {
    const plays = Number(label.firstChild.value) === player.hls?.currentLevel;
    label.classList.toggle('plays', plays);
  }
}

// ---- sharing

function showAddresses(hls, dash, page) {
  byId('hls-address').value = hls;
  byId('dash-address').value = dash;
  byId('embed-code').value = `<iframe src="${page}?embed" width="640" height="360" `
    + 'style="border:0" allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>';
}

async function copy(button) {
  const field = byId(button.dataset.copies);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Only secure pages have a clipboard; the old way works everywhere.
    document.execCommand('copy');
  }
  const label = button.querySelector('span');
  setText(label, 'Copied');
  announce(`${button.getAttribute('aria-label')}: done.`);
  button.focus();
  setTimeout(() => setText(label, 'Copy'), 2000);
}

for (const button of document.querySelectorAll('[data-copies]')) {
  button.prepend(icon('copy'));
  button.addEventListener('click', () => copy(button));
}

captionsForm(id, reloadSoon);
window.addEventListener('pagehide', unfollow);
setInterval(showFigures, FIGURES_MS);
refresh();
