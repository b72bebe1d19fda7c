// Plays one presentation in every player and reader we know, over HLS and DASH, and prints a table.
//
//   tests/players/run DIR|URL [--base URL] [--only NAME,NAME] [--hls FILE] [--dash FILE]
//
// DIR holds index.m3u8 and manifest.mpd and is served by static_server.mjs, or by the server at
// --base that serves the same folder; a URL is that base. Exit code 0 if nothing failed.

import { cueToSee, textTracks } from './captions.mjs';
import { play } from './play.mjs';
import { ffmpeg, ffprobe, gstreamer, mpv } from './readers.mjs';
import { serve } from './static_server.mjs';

// An MPD without its sets for trick play and thumbnails, which nobody plays.
function played(text) {
  const sets = /<AdaptationSet\b[^>]*>[\s\S]*?<\/AdaptationSet>/g;
  return text.replace(sets, (set) => (/guidelines\/(trickmode|thumbnail_tile)"/.test(set) ? '' : set));
}

// What a manifest promises: the picture heights, the text, and the media playlists of sound and
// pictures if it is HLS. Read with patterns on purpose: a parser would be one more player.
async function promises(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} ${url}`);
  const text = played(await response.text());
  const hls = text.startsWith('#EXTM3U');
  const all = (pattern) => [...new Set([...text.matchAll(pattern)].map((match) => match[1]))];
  const heights = all(hls ? /^#EXT-X-STREAM-INF:.*RESOLUTION=\d+x(\d+)/gm : /<Representation\b[^>]*\bheight="(\d+)"/g);
  const uris = hls ? [...all(/^([^#\s].*)$/gm), ...all(/^#EXT-X-MEDIA:TYPE=(?!SUBTITLES).*URI="([^"]+)"/gm)] : [];
  return {
    heights: heights.map(Number).sort((a, b) => a - b),
    playlists: uris.map((uri) => new URL(uri, url).href),
    texts: await textTracks(url, text),
    chapters: await chaptersOf(url, text),
    format: hls ? 'hls' : 'dash',
  };
}

// A player that can't play a rendition leaves it out and says nothing.
function missingHeights(promised, renditions) {
  return promised.filter((height) => !renditions.some((rendition) => rendition.height === height))
    .map((height) => `the player left out the rendition of height ${height}`);
}

// The chapters that an HLS playlist or an MPD names: [{ start, title }], or null.
async function chaptersOf(url, text) {
  const data = /^#EXT-X-SESSION-DATA:DATA-ID="com\.apple\.hls\.chapters",URI="([^"]+)"/m.exec(text);
  if (data) {
    const response = await fetch(new URL(data[1], url));
    const list = await response.json();
    return list.map((chapter) => ({ start: chapter['start-time'], title: chapter.titles[0].title }));
  }
  const events = [...text.matchAll(/<Event id="\d+" presentationTime="(\d+)"[^>]*>([^<]*)</g)];
  return events.length > 0 ? events.map(([, start, title]) => ({ start: start / 1000, title })) : null;
}

// Shaka reads no chapters of DASH; the browser's own player tells of none.
function wrongChapters(promised, found, player, format) {
  const silent = player === 'native' || (player === 'shaka' && format === 'dash');
  if (silent || promised === null) return [];
  const row = ({ start, title }) => `${Number(start).toFixed(2)} ${title}`;
  const [wanted, seen] = [promised.map(row).join(', '), (found ?? []).map(row).join(', ')];
  return wanted === seen ? [] : [`chapters are ${seen || 'none'}, not ${wanted}`];
}

const web = (player) => async (url, { heights: promised, texts: promisedTexts, chapters, format }) => {
  const texts = promisedTexts.map(({ language, name, cues }) => ({
    language, name, cue: cueToSee(cues, Math.max(...cues.map(({ end }) => end))),
  }));
  const report = await play(url, player, { allRenditions: true, texts });
  const { skipped, errors, failures, stalls, renditions, heights, frames } = report;
  const missing = player === 'native' ? [] : missingHeights(promised, renditions ?? []);
  return {
    skipped,
    problems: [...failures, ...errors, ...missing, ...wrongChapters(chapters, report.chapters, player, format), ...report.console, ...report.http],
    notes: `${renditions?.length ? `${renditions.length} renditions, ` : ''}`
      + `${report.chapters?.length ? `${report.chapters.length} chapters, ` : ''}`
      + `${report.texts?.length ? `${report.texts.length} text tracks, ` : ''}heights ${heights?.join(' ')}, `
      + `started in ${report.startMs} ms, ${stalls?.length} stalls, dropped ${frames?.dropped}/${frames?.total}`,
  };
};

const CHECKS = [
  ['hls', 'hls.js', web('hls.js')],
  ['hls', 'shaka', web('shaka')],
  ['hls', 'native', web('native')],
  ['dash', 'dash.js', web('dash.js')],
  ['dash', 'shaka', web('shaka')],
  ...['hls', 'dash'].flatMap((format) => [
    [format, 'mpv', mpv],
    [format, 'gstreamer', gstreamer],
    [format, 'ffprobe', ffprobe],
    [format, 'ffmpeg', ffmpeg],
  ]),
];

function parse(args) {
  const options = { hls: 'index.m3u8', dash: 'manifest.mpd' };
  const rest = [...args];
  while (rest.length > 0) {
    const word = rest.shift();
    const name = /^--(base|only|hls|dash)$/.exec(word)?.[1];
    if (name && rest.length > 0) options[name] = rest.shift();
    else if (!word.startsWith('-') && !options.target) options.target = word;
    else return null;
  }
  return options.target ? options : null;
}

// The server to play from: { base, refused, close }.
async function open({ target, base }) {
  const url = base ?? (/^https?:\/\//.test(target) ? target : null);
  if (url) return { base: url.endsWith('/') ? url : `${url}/`, refused: [], close() {} };
  return serve(target);
}

async function check(server, manifest, [format, name, reader]) {
  const began = performance.now();
  const refusedBefore = server.refused.length;
  const url = new URL(manifest, server.base).href;
  const result = await promises(url)
    .then((promised) => reader(url, promised))
    .catch((error) => ({ problems: [error.message] }));
  const refused = server.refused.slice(refusedBefore).map((line) => `refused: ${line}`);
  const problems = [...result.problems, ...refused];
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const state = result.skipped ? 'skip' : problems.length === 0 ? 'ok' : 'FAIL';
  const line = [format.padEnd(5), name.padEnd(10), state.padEnd(5), `${seconds.padStart(5)} s `,
    result.skipped ?? result.notes ?? ''].join(' ');
  console.log(line.trimEnd());
  for (const problem of problems.slice(0, 12)) console.log(`        ${problem.slice(0, 400)}`);
  if (problems.length > 12) console.log(`        and ${problems.length - 12} more`);
  return state;
}

const options = parse(process.argv.slice(2));
if (!options) {
  console.error('usage: tests/players/run DIR|URL [--base URL] [--only NAME,NAME] [--hls FILE] [--dash FILE]');
  process.exit(2);
}
const only = options.only?.split(',');
const unknown = only?.filter((name) => !CHECKS.some(([format, reader]) => [format, reader].includes(name)));
if (unknown?.length) {
  console.error(`nothing is called ${unknown.join(', ')}`);
  process.exit(2);
}
const server = await open(options);
const states = [];
for (const each of CHECKS) {
  const [format, name] = each;
  if (only && !only.includes(name) && !only.includes(format)) continue;
  states.push(await check(server, options[format], each));
}
server.close();
const count = (state) => states.filter((s) => s === state).length;
const skipped = count('skip') ? `, ${count('skip')} skipped` : '';
console.log(`${count('ok')} passed, ${count('FAIL')} failed${skipped}`);
process.exit(count('FAIL') === 0 ? 0 : 1);
