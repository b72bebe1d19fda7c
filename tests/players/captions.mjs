// What a manifest promises of text: each text track with its cues, read with patterns on purpose,
// as in run.mjs.

async function get(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} ${url}`);
  return response.text();
}

function seconds(time) {
  return time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

const TIME = String.raw`((?:\d+:)?\d\d:\d\d\.\d{3})`;
const CUE = new RegExp(String.raw`^${TIME} --> ${TIME}.*\n((?:.+(?:\n|$))+)`, 'gm');

// Whether a WebVTT file has a style sheet or regions.
const isStyled = (vtt) => /^(STYLE|REGION)[ \t]*$/m.test(vtt);

// Cues of a WebVTT file, as { start, end, text }.
export function cuesOf(vtt) {
  return [...vtt.matchAll(CUE)].map(([, start, end, text]) => ({
    start: seconds(start), end: seconds(end), text: text.trimEnd(),
  }));
}

async function ofPlaylist(url) {
  const playlist = await get(url);
  const uris = [...playlist.matchAll(/^([^#\s].*)$/gm)].map((match) => match[1]);
  const segments = await Promise.all(uris.map((uri) => get(new URL(uri, url).href)));
  // A cue stands in each segment that it is shown in.
  const cues = new Map();
  for (const cue of segments.flatMap(cuesOf)) {
    const key = JSON.stringify(cue);
    cues.set(key, { ...cue, segments: (cues.get(key)?.segments ?? 0) + 1 });
  }
  return { cues: [...cues.values()], styled: segments.some(isStyled) };
}

async function ofFile(url) {
  const text = await get(url);
  return { cues: cuesOf(text), styled: isStyled(text) };
}

// Text tracks of a manifest: [{ language, name, url, cues, styled }].
export async function textTracks(url, manifest) {
  const rows = manifest.startsWith('#EXTM3U')
    ? [...manifest.matchAll(/^#EXT-X-MEDIA:TYPE=SUBTITLES,.*$/gm)].map(([line]) => {
      const value = (name) => new RegExp(`${name}="([^"]*)"`).exec(line)?.[1];
      return { language: value('LANGUAGE'), name: value('NAME'), uri: value('URI'), read: ofPlaylist };
    })
    : [...manifest.matchAll(/<AdaptationSet\b[^>]*contentType="text"[^>]*>[^]*?<\/AdaptationSet>/g)].map(([set]) => {
      const value = (pattern) => pattern.exec(set)?.[1];
      return {
        language: value(/\blang="([^"]*)"/), name: value(/<Label>([^<]*)</), uri: value(/<BaseURL>([^<]*)</),
        read: ofFile,
      };
    });
  return Promise.all(rows.map(async ({ language, name, uri, read }) => {
    const whole = new URL(uri, url).href;
    return { language, name, url: whole, ...await read(whole) };
  }));
}

// The cue to look for: best one that stands in two segments, then one from the middle.
export function cueToSee(cues, duration) {
  const fit = cues.filter(({ start, end }) => start >= 1 && end - start >= 0.5 && start < duration - 2);
  return fit.find(({ segments }) => segments > 1) ?? fit[Math.floor(fit.length / 2)];
}
