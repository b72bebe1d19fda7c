// Plays a stream in a <video>: with hls.js where the browser has Media Source Extensions, else with
// the browser's own HLS player.

import { keySettings, keyWords } from './keys.js';

const NATIVE_TYPE = 'application/vnd.apple.mpegurl';

// A segment that isn't made yet is made when it is asked for: the server answers within 10 s, or
// with 503, and then the same request is worth making again.
const SEGMENT_POLICY = {
  default: {
    maxTimeToFirstByteMs: 15_000,
    maxLoadTimeMs: 120_000,
    timeoutRetry: { maxNumRetry: 6, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: 20, retryDelayMs: 1000, maxRetryDelayMs: 8000, backoff: 'linear' },
  },
};
const SETTINGS = {
  // The segments are fragmented MP4, which hls.js passes on as they are: nothing to do for a worker.
  enableWorker: false,
  lowLatencyMode: false,
  maxBufferLength: 30,
  fragLoadPolicy: SEGMENT_POLICY,
};
const MEDIA_RECOVERIES = 3;
const LONGEST_WAIT_MS = 15_000;

// Events: `loaded` (the playlist is read), `rungs` (their list, or the one chosen, changed), `trouble` (detail: { message, final }),
// `well` (it plays again).
export class Player extends EventTarget {
  constructor(video) {
    super();
    this.video = video;
    this.hls = null;
    this.url = null;
    // What the playlist says of the whole stream, by DATA-ID.
    this.sessionData = null;
    this.forget();
    video.addEventListener('loadeddata', () => this.sawFrame());
    video.addEventListener('playing', () => { this.started = true; });
    video.addEventListener('waiting', () => this.sawStall());
    video.addEventListener('error', () => this.failNatively());
  }

  forget() {
    Object.assign(this, {
      stalls: 0, started: false, firstFrameMs: null, loadedAt: null, fragmentRate: null,
      recoveries: 0, failures: 0,
    });
  }

  // Loads a stream, at `position` seconds.
  async load(url, position = 0) {
    this.release();
    this.forget();
    this.url = url;
    this.loadedAt = performance.now();
    const Hls = await hlsJs();
    if (Hls) this.loadWithHlsJs(Hls, url, position);
    else if (this.video.canPlayType(NATIVE_TYPE)) this.loadNatively(url, position);
    else this.tell('This browser plays no HLS streams. Try a current Chrome, Edge, Firefox or Safari.', true);
  }

  // Loads the same stream anew where it is, for what was added to it.
  async reload() {
    if (!this.url) return;
    const { currentTime, paused } = this.video;
    // The entry point may still be in the browser's cache without what was added.
    await fetch(this.url, { cache: 'reload' }).catch(() => {});
    await this.load(this.url, currentTime);
    if (!paused) this.play();
  }

  // Starts to play if the browser lets us without a click.
  play() {
    this.video.play().catch(() => {});
  }

  release() {
    clearTimeout(this.timer);
    this.hls?.destroy();
    this.hls = null;
  }

  loadNatively(url, position) {
    this.video.src = url;
    this.video.addEventListener('loadedmetadata', () => {
      if (position > 0) this.video.currentTime = position;
      this.changed();
    }, { once: true });
  }

  loadWithHlsJs(Hls, url, position) {
    const hls = new Hls({ ...SETTINGS, ...keySettings(Hls), startPosition: position > 0 ? position : -1 });
    this.hls = hls;
    const { Events } = Hls;
    for (const event of [Events.MANIFEST_PARSED, Events.LEVEL_SWITCHED, Events.SUBTITLE_TRACKS_UPDATED]) {
      hls.on(event, () => this.changed());
    }
    hls.on(Events.MANIFEST_PARSED, (_, { sessionData }) => {
      this.sessionData = sessionData;
      this.dispatchEvent(new Event('loaded'));
    });
    hls.on(Events.FRAG_CHANGED, (_, { frag }) => {
      if (frag.stats.total > 0) this.fragmentRate = (frag.stats.total * 8) / frag.duration;
    });
    hls.on(Events.FRAG_BUFFERED, () => {
      this.failures = 0;
      this.dispatchEvent(new Event('well'));
    });
    hls.on(Events.ERROR, (_, data) => { if (data.fatal) this.overcome(Hls, data); });
    hls.loadSource(url);
    hls.attachMedia(this.video);
  }

  // ---- rungs

  // The video renditions, best first: { index, width, height, bitrate }.
  get rungs() {
    const levels = this.hls?.levels ?? [];
    const rungs = levels.map(({ width, height, bitrate }, index) => ({ index, width, height, bitrate }));
    return rungs.sort((a, b) => b.bitrate - a.bitrate);
  }

  // The index that was chosen; -1: the player chooses.
  get chosen() {
    return this.hls?.autoLevelEnabled === false ? this.hls.manualLevel : -1;
  }

  // Switches at the next segment, so that playing goes on while that is fetched. Once everything up to
  // the end is buffered hls.js fetches nothing for that, and has to be told to begin anew here.
  choose(index) {
    if (this.hls && index >= 0 && this.isBufferedToEnd()) this.hls.currentLevel = index;
    else if (this.hls) this.hls.nextLevel = index;
    this.changed();
  }

  isBufferedToEnd() {
    const { buffered, duration } = this.video;
    return buffered.length > 0 && buffered.end(buffered.length - 1) > duration - 0.5;
  }

  changed() {
    this.dispatchEvent(new Event('rungs'));
  }

  // Captions that the stream has: { name, language }.
  get captions() {
    const tracks = this.hls
      ? this.hls.subtitleTracks.map(({ name, lang }) => ({ name, language: lang }))
      : [...this.video.textTracks].map(({ label, language }) => ({ name: label, language }));
    return tracks;
  }

  // ---- what can be measured

  get figures() {
    const { video, hls } = this;
    const level = hls?.levels[hls.currentLevel] ?? null;
    const quality = video.getVideoPlaybackQuality?.();
    return {
      width: level?.width || video.videoWidth || null,
      height: level?.height || video.videoHeight || null,
      // Of the segment on the screen; else what the stream promises.
      bitrate: this.fragmentRate ?? level?.bitrate ?? null,
      bufferSeconds: this.bufferSeconds(),
      droppedFrames: quality?.droppedVideoFrames ?? null,
      frames: quality?.totalVideoFrames ?? null,
      stalls: this.stalls,
      firstFrameMs: this.firstFrameMs,
      bandwidth: hls && this.fragmentRate !== null ? hls.bandwidthEstimate : null,
    };
  }

  bufferSeconds() {
    const { buffered, currentTime } = this.video;
    for (let i = 0; i < buffered.length; i += 1) {
      // A hair of tolerance: a seek may land just before the first sample.
      if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i)) {
        return buffered.end(i) - currentTime;
      }
    }
    return 0;
  }

  sawFrame() {
    this.firstFrameMs ??= performance.now() - this.loadedAt;
  }

  // Waiting that nobody asked for by a seek or by the start.
  sawStall() {
    const atEnd = this.video.duration - this.video.currentTime < 0.2;
    if (this.started && !this.video.seeking && !atEnd) this.stalls += 1;
  }

  // ---- trouble

  tell(message, final) {
    this.dispatchEvent(new CustomEvent('trouble', { detail: { message, final } }));
  }

  // After what hls.js can't get over by itself.
  overcome(Hls, data) {
    const { KEY_SYSTEM_ERROR, MEDIA_ERROR, NETWORK_ERROR } = Hls.ErrorTypes;
    if (data.type === MEDIA_ERROR && this.recoveries < MEDIA_RECOVERIES) {
      this.recoveries += 1;
      this.hls.recoverMediaError();
    } else if (data.type === NETWORK_ERROR) {
      this.tryAgainLater(data);
    } else if (data.type === KEY_SYSTEM_ERROR) {
      this.release();
      this.tell(keyWords(data), true);
    } else {
      this.release();
      this.tell(`This browser can't play the stream (${data.details}).`, true);
    }
  }

  tryAgainLater(data) {
    const code = data.response?.code ?? 0;
    this.failures += 1;
    this.tell(`${networkWords(code)} Trying again.`, false);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.hls?.levels.length > 0) this.hls.startLoad(this.video.currentTime || -1);
      else this.hls?.loadSource(this.url);
    }, Math.min(LONGEST_WAIT_MS, 1000 * 2 ** this.failures));
  }

  failNatively() {
    if (this.hls || !this.video.error) return;
    const network = this.video.error.code === MediaError.MEDIA_ERR_NETWORK;
    this.tell(network ? networkWords(0) : "This browser can't play the stream.", true);
  }
}

function networkWords(code) {
  if (code === 404) return "The stream isn't there (yet).";
  if (code === 401 || code === 403) return 'You may not play this stream.';
  if (code === 503) return 'The server is still making this part.';
  return code === 0 ? 'The connection to the stream is lost.' : `The stream answered with an error (${code}).`;
}

// hls.js, or null where it can't work. Loaded only where it can.
async function hlsJs() {
  if (!window.MediaSource && !window.ManagedMediaSource) return null;
  const { default: Hls } = await import('./hls.min.mjs');
  return Hls.isSupported() ? Hls : null;
}
