// Runs inside the browser: drives one player over one URL and reports what it saw.
//
// A player is an adapter of some functions: `load` starts it and tells `note` of everything it
// complains about, `renditions` lists what it could play, `force` makes it play one of them at
// once, `plays` says whether it does; `texts` lists its text tracks, `show` shows one of them. All
// of them show text through the video element's own text tracks.
'use strict';

const RENDITION_TIMEOUT_MS = 20000;
const START_TIMEOUT_MS = 30000;
const SEEK_TIMEOUT_MS = 20000;
const END_TIMEOUT_MS = 30000;
const CUE_TIMEOUT_MS = 15000;
const FIRST_CUE_TIMEOUT_MS = 10000;
// What a cue's times may be off: reordering delay that a player counts in, and the clock's step.
const CUE_SLACK = 0.1;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition, timeoutMs) {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (condition()) return true;
    await sleep(50);
  }
  return false;
}

// Apple's list of chapters: [{ start, title }].
function chaptersOfList(list) {
  return list.map((chapter) => ({ start: chapter['start-time'], title: chapter.titles[0].title }));
}

// With the settings for encrypted streams that the server's own pages have.
async function playHlsJs(video, url, note) {
  const { keySettings } = await import('./keys.js');
  const hls = new Hls(keySettings(Hls));
  hls.on(Hls.Events.ERROR, (_, data) => {
    const text = `${data.details} ${data.reason ?? data.error?.message ?? ''}`;
    // "The playhead stands still though data is there" is what hls.js says of a slow machine; a
    // hole in the stream has another name (bufferSeekOverHole).
    // "aborted" is a load that hls.js itself gave up, for a seek. "bufferAppendNoProgress" is a segment
    // that took the place of the same time in another rendition; what stays so becomes fatal.
    const slow = ['bufferStalledError', 'bufferNudgeOnStall', 'aborted', 'bufferAppendNoProgress']
      .includes(data.details);
    note(slow && !data.fatal ? 'stall' : 'error', text);
  });
  let chaptersOfHlsJs = null;
  hls.on(Hls.Events.MANIFEST_PARSED, (_, { sessionData }) => {
    const uri = sessionData?.['com.apple.hls.chapters']?.URI;
    if (uri) chaptersOfHlsJs = fetch(new URL(uri, url)).then((response) => response.json()).then(chaptersOfList);
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    renditions: () => [
      ...hls.levels.map((level, index) => ({
        kind: 'video', index, height: level.height, bandwidth: level.bitrate, codecs: level.attrs.CODECS,
      })),
      ...hls.audioTracks.slice(1).map((track, i) => ({ kind: 'audio', index: i + 1, name: track.name })),
    ],
    force(rendition) {
      if (rendition.kind === 'audio') hls.audioTrack = rendition.index;
      else hls.currentLevel = rendition.index;
    },
    plays: (r) => (r.kind === 'audio' ? hls.audioTrack : hls.currentLevel) === r.index,
    chapters: () => chaptersOfHlsJs,
    texts: () => hls.subtitleTracks.map(({ lang, name }, index) => ({ index, language: lang, name })),
    show({ index }) {
      hls.subtitleDisplay = true;
      hls.subtitleTrack = index;
    },
  };
}

async function playShaka(video, url, note) {
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  const describe = (error) => `${error.code} ${JSON.stringify(error.data)}`;
  player.addEventListener('error', (event) => note('error', describe(event.detail)));
  player.addEventListener('gapjumped', () => note('error', `jumped a gap before ${video.currentTime}`));
  player.addEventListener('stalldetected', () => note('stall', 'stalldetected'));
  await player.attach(video);
  try {
    await player.load(url);
  } catch (error) {
    note('error', describe(error));
  }
  if (player.getLoadMode() !== shaka.Player.LoadMode.MEDIA_SOURCE) {
    note('error', 'Shaka left the playing to the browser');
  }
  return {
    // Shaka's variants are pairs of video and sound; one pair is enough for each video rendition.
    renditions: () => bestOfEachVideo(player.getVariantTracks()).map((track) => ({
      kind: 'video', id: track.id, height: track.height, bandwidth: track.bandwidth, codecs: track.codecs,
    })),
    force(rendition) {
      player.configure('abr.enabled', false);
      const track = player.getVariantTracks().find(({ id }) => id === rendition.id);
      player.selectVariantTrack(track, /* clearBuffer= */ true);
    },
    plays: (rendition) => player.getVariantTracks().some(({ id, active }) => active && id === rendition.id),
    // Of DASH it reads none.
    async chapters() {
      const [track] = player.getChaptersTracks();
      if (!track) return null;
      const chapters = await player.getChaptersAsync(track.language);
      return chapters.map(({ startTime, title }) => ({ start: startTime, title }));
    },
    texts: () => player.getTextTracks().map(({ id, language, label }) => ({ id, language, name: label })),
    show: (text) => player.selectTextTrack(player.getTextTracks().find(({ id }) => id === text.id)),
  };
}

function bestOfEachVideo(tracks) {
  const best = new Map();
  for (const track of tracks) {
    const known = best.get(track.videoId);
    if (!known || known.bandwidth < track.bandwidth) best.set(track.videoId, track);
  }
  return [...best.values()];
}

async function playDashJs(video, url, note) {
  const player = dashjs.MediaPlayer().create();
  // Warnings too: that a gap was jumped is told nowhere else (see play.mjs).
  player.updateSettings({ debug: { logLevel: dashjs.Debug.LOG_LEVEL_WARNING } });
  const events = dashjs.MediaPlayer.events;
  player.on(events.ERROR, ({ error }) => note('error', `${error.code ?? ''} ${error.message ?? error}`));
  player.on(events.PLAYBACK_ERROR, ({ error }) => note('error', `playback ${error?.message ?? error}`));
  const ready = new Promise((resolve) => player.on(events.STREAM_INITIALIZED, resolve));
  const chapters = new Map();
  player.on('urn:headwater:dash:chapters', ({ event }) => {
    chapters.set(event.id, { start: event.calculatedPresentationTime, title: event.messageData });
  }, null, { mode: dashjs.MediaPlayer.events.EVENT_MODE_ON_RECEIVE });
  const rendered = {};
  player.on(events.QUALITY_CHANGE_RENDERED, ({ mediaType, newRepresentation }) => {
    rendered[mediaType] = newRepresentation.id;
  });
  player.initialize(video, url, true);
  await Promise.race([ready, sleep(START_TIMEOUT_MS)]);
  const list = (kind) => (player.getRepresentationsByType(kind) ?? []).map((representation) => ({
    kind, id: representation.id, height: representation.height,
    bandwidth: representation.bandwidth, codecs: representation.codecs,
  }));
  return {
    renditions: () => [...list('video'), ...list('audio')],
    force({ kind, id }) {
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false, audio: false } } } });
      player.setRepresentationForTypeById(kind, id, /* forceReplace= */ true);
    },
    // dash.js says nothing when it is told to render what it renders already.
    plays: ({ kind, id }) => (rendered[kind] ?? id) === id
      && player.getCurrentRepresentationForType(kind)?.id === id,
    chapters: () => (chapters.size > 0 ? [...chapters.values()] : null),
    texts: () => player.getTracksFor('text').map(({ lang, labels, index }, at) => ({
      at, index, language: lang, name: labels?.[0]?.text,
    })),
    show({ at }) {
      player.enableText(true);
      player.setTextTrack(at);
    },
  };
}

// Chromium's own HLS player tells nothing of its renditions and takes no orders.
function playNative(video, url) {
  video.src = url;
  return { renditions: () => [], force() {}, plays: () => true, texts: () => null };
}

// Players write markup in ways of their own.
function plain(text) {
  const page = new DOMParser().parseFromString(text, 'text/html');
  return page.body.textContent.replace(/\s+/g, ' ').trim();
}

// Cues of the tracks that are shown: all of them, or those that are on the screen now.
function cuesOfShown(video, of) {
  const tracks = [...video.textTracks].filter((track) => track.mode === 'showing');
  return tracks.flatMap((track) => [...(track[of] ?? [])]);
}

const PLAYERS = { 'hls.js': playHlsJs, shaka: playShaka, 'dash.js': playDashJs, native: playNative };

class Session {
  constructor(video) {
    this.video = video;
    this.quiet = true; // while we seek, start or switch, waiting is no stall
    this.report = { errors: [], stalls: [], heights: [], failures: [], renditions: [], texts: [] };
    video.addEventListener('error', () => this.note('error', `video: ${video.error?.message}`));
    video.addEventListener('waiting', () => this.note('stall', 'waiting'));
    video.addEventListener('resize', () => this.sawHeight());
  }

  note(kind, text) {
    const entry = `${text} @${this.video.currentTime.toFixed(2)}`;
    if (kind === 'error') this.report.errors.push(entry);
    else if (!this.quiet) this.report.stalls.push(entry);
  }

  sawHeight() {
    const height = this.video.videoHeight;
    if (height && !this.report.heights.includes(height)) this.report.heights.push(height);
  }

  expect(holds, what) {
    if (!holds) this.report.failures.push(`${what} (at ${this.video.currentTime.toFixed(2)} s)`);
    return holds;
  }

  async plays(seconds, what) {
    const from = this.video.currentTime;
    // Fifteen seconds of grace: a loaded machine decodes slower than real time.
    const moved = await until(
      () => this.video.ended || this.video.currentTime >= from + seconds, (seconds + 15) * 1000);
    return this.expect(moved, `did not play ${seconds} s ${what}`);
  }

  async start(autoplay) {
    const began = performance.now();
    if (autoplay) this.video.play().catch((error) => this.note('error', `play: ${error.message}`));
    const started = await until(() => this.video.currentTime > 0.05, START_TIMEOUT_MS);
    this.report.startMs = Math.round(performance.now() - began);
    this.report.duration = this.video.duration;
    this.sawHeight();
    if (!this.expect(started, 'did not start')) return false;
    this.quiet = false;
    await this.plays(2, 'after the start');
    const buffered = Array.from({ length: this.video.buffered.length },
      (_, i) => [this.video.buffered.start(i), this.video.buffered.end(i)]);
    this.report.buffered = buffered;
    this.expect(buffered.length === 1 && buffered[0][0] === 0,
      `the buffer is not one piece from 0: ${JSON.stringify(buffered)}`);
    return true;
  }

  async seek(to, what) {
    this.quiet = true;
    this.video.currentTime = to;
    const arrived = await until(
      () => !this.video.seeking && (this.video.ended || this.video.currentTime > to + 0.05), SEEK_TIMEOUT_MS);
    this.quiet = false;
    return this.expect(arrived, `seek to ${what} did not arrive`);
  }

  async force(player, rendition) {
    if (this.video.currentTime > this.video.duration / 2) await this.seek(1, 'the beginning');
    this.quiet = true;
    player.force(rendition);
    const name = `${rendition.kind} ${rendition.height ?? rendition.name ?? rendition.id}`;
    const there = await until(
      () => player.plays(rendition) && !this.video.seeking
        && (rendition.kind !== 'video' || !rendition.height || this.video.videoHeight === rendition.height),
      RENDITION_TIMEOUT_MS);
    this.expect(there, `${name} was never played`);
    const played = await this.plays(1, `of ${name}`);
    this.quiet = false;
    this.report.renditions.push({ ...rendition, played: there && played });
  }

  // Text `at` its place in the manifest; `cue` is one of it: it appears and goes when it should.
  async captions(player, at, { language, name, cue }) {
    const what = `text ${at + 1} (${name ?? language})`;
    const text = player.texts().find((one) => one.name === name && one.language.startsWith(language.slice(0, 2)));
    if (!this.expect(text, `${what} is not there: ${JSON.stringify(player.texts())}`) || !cue) return;
    player.show(text);
    // Chromium takes up to some seconds until a text track that Shaka makes shows its first cue.
    await until(() => cuesOfShown(this.video, 'cues').length > 0, FIRST_CUE_TIMEOUT_MS);
    await this.seek(Math.max(0, cue.start - 0.8), `before a cue of ${what}`);
    this.quiet = true;
    const expected = plain(cue.text);
    const find = (of) => cuesOfShown(this.video, of).filter((one) => plain(one.text) === expected);
    const timeout = (cue.start - this.video.currentTime + 1) * 1000 + CUE_TIMEOUT_MS;
    const shown = await until(() => find('activeCues').length > 0, timeout);
    const seenAt = this.video.currentTime;
    if (!this.expect(shown, `${what}: the cue of ${cue.start} s was not shown`)) return;
    const near = (a, b, by) => Math.abs(a - b) <= by;
    const [first, ...repeated] = find('cues');
    this.expect(repeated.length === 0, `${what}: the cue of ${cue.start} s is there ${repeated.length + 1} times`);
    this.expect(near(first.startTime, cue.start, CUE_SLACK) && near(first.endTime, cue.end, CUE_SLACK),
      `${what}: the cue of ${cue.start} to ${cue.end} s is there from ${first.startTime} to ${first.endTime} s`);
    this.expect(seenAt >= cue.start - CUE_SLACK && seenAt < cue.end + CUE_SLACK, `${what}: shown at ${seenAt} s`);
    if (cue.end < this.video.duration - 1) {
      if (cue.end - this.video.currentTime > 2) await this.seek(cue.end - 0.5, `the end of a cue of ${what}`);
      const gone = await until(() => find('activeCues').length === 0, CUE_TIMEOUT_MS);
      this.expect(gone && this.video.currentTime >= cue.end - CUE_SLACK,
        `${what}: gone at ${this.video.currentTime} s rather than ${cue.end} s`);
    }
    this.quiet = false;
    this.report.texts.push({ at, language, name, seenAt });
  }

  async end() {
    await this.seek(Math.max(0, this.video.duration - 3), '3 s before the end');
    this.quiet = true; // the last frame is followed by "waiting" in some versions
    this.expect(await until(() => this.video.ended, END_TIMEOUT_MS), 'did not reach the end');
    this.report.endedAt = this.video.currentTime;
    this.expect(Math.abs(this.video.currentTime - this.video.duration) < 0.1, 'ended elsewhere than at the end');
  }
}

// Plays the start, each rendition and text track, 60 % and the end. `texts` are the tracks that the
// manifest promises.
async function exercise(url, playerName, allRenditions, texts) {
  const video = document.getElementById('video');
  const session = new Session(video);
  if (playerName === 'native' && video.canPlayType('application/vnd.apple.mpegurl') === '') {
    return { ...session.report, skipped: 'this Chromium does not play HLS by itself' };
  }
  const player = await PLAYERS[playerName](video, url, (kind, text) => session.note(kind, text));
  if (await session.start(playerName !== 'dash.js')) {
    const renditions = player.renditions();
    session.expect(renditions.length > 0 || playerName === 'native', 'the player found no rendition');
    if (allRenditions) for (const rendition of renditions) await session.force(player, rendition);
    else session.report.renditions = renditions;
    if (player.texts() !== null) for (const [at, text] of texts.entries()) await session.captions(player, at, text);
    session.report.chapters = await player.chapters?.() ?? null;
    if (await session.seek(video.duration * 0.6, '60 %')) await session.plays(2, 'after the seek');
    await session.end();
  }
  const quality = video.getVideoPlaybackQuality();
  session.report.frames = { total: quality.totalVideoFrames, dropped: quality.droppedVideoFrames };
  return session.report;
}
