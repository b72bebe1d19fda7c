// The readers that are programs: mpv, GStreamer, ffprobe and FFmpeg. Each reads a whole
// presentation from one manifest. On a sound stream all of them are silent, so any line that they
// print is a complaint; those that they print about themselves are named here with their reason.

import { execFile } from 'node:child_process';
import { cuesOf } from './captions.mjs';

const TIMEOUT_MS = 180_000;

// FFmpeg's HLS demuxer, mpv's too, leaves subtitles out and says so; we read those by themselves.
// Cues that stand in two segments it finds twice.
const FFMPEG_SELF_TALK = /Can't support the subtitle\(uri:|Dropping \d+ duplicated subtitle events/;

const spoken = (text) => text.split(/[\r\n]+/).filter((line) => line.trim() !== '' && !FFMPEG_SELF_TALK.test(line));

// Runs a program with its standard input closed: { code, stdout, stderr, lines }.
function run(program, args, env = {}) {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: 1 << 26, env: { ...process.env, ...env } };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const code = error ? error.code ?? `killed by ${error.signal}` : 0;
      const lines = spoken(stderr);
      resolve({ code, stdout, stderr, lines });
    });
    child.stdin.end();
  });
}

function verdict({ code }, complaints, notes = '') {
  const problems = code === 0 ? complaints : [...complaints, `exit code ${code}`];
  return { problems, notes };
}

// Players choose one rendition of a manifest. So that they read all, they are also given each media
// playlist that an HLS manifest names.
const each = (read) => async (url, { playlists }) => {
  const all = { problems: [], notes: '' };
  for (const one of [url, ...playlists]) all.problems.push(...(await read(one)).problems);
  if (playlists.length > 0) all.notes = `and its ${playlists.length} media playlists, one by one`;
  return all;
};

export const mpv = each(async (url) => {
  const result = await run('mpv', [
    '--no-config', '--vo=null', '--ao=null', '--untimed', '--ao-null-untimed=yes',
    '--msg-level=all=warn', '--no-input-terminal', '--', url,
  ]);
  return verdict(result, spoken(`${result.stdout}\n${result.stderr}`));
});

// gst-launch prints the HTTP session that its elements share, and GStreamer 1.22 can't print one.
// Nor does it know the name that HLS has for I-frames in JPEG, after which it asks how many of nothing
// there are, or the thumbnails of an MPD; it leaves both out.
const GST_SELF_TALK = new RegExp([
  "No value transform to serialize field 'session' of type 'GstSoupSession'",
  "Unknown codec 'mjpg'",
  "gst_caps_get_size: assertion 'GST_IS_CAPS \\(caps\\)' failed",
  'gst_mpd_client2_setup_streaming: Unknown mime type in the representation',
].join('|'));

export const gstreamer = each(async (url) => {
  // The first start after an installation scans all plugins and warns of absent drivers.
  await run('gst-inspect-1.0', ['playbin3']);
  const result = await run('gst-launch-1.0', [
    // No text: it needs a plug-in to be drawn, and makes the rest run in real time.
    'playbin3', `uri=${url}`, 'flags=video+audio+soft-volume+deinterlace+soft-colorbalance',
    'video-sink=fakesink sync=false', 'audio-sink=fakesink sync=false',
  ], { GST_DEBUG: '2', GST_DEBUG_NO_COLOR: '1' });
  const warned = [...result.lines, ...result.stdout.split(/[\r\n]+/).filter((l) => /^(WARNING|ERROR)/.test(l))];
  const complaints = warned.filter((line) => !GST_SELF_TALK.test(line));
  if (!/Got EOS/.test(result.stdout)) complaints.push('the end of the stream was not reached');
  return verdict(result, complaints);
});

// The tracks that FFmpeg finds, or what it said instead.
async function tracks(url) {
  const result = await run('ffprobe', [
    '-v', 'warning', '-of', 'json', '-show_entries', 'stream=index,codec_type,height:stream_tags=id', url,
  ]);
  const found = result.code === 0 ? JSON.parse(result.stdout).streams : [];
  const complaints = found.length === 0 ? [...result.lines, 'no track found'] : result.lines;
  return { result, found, complaints };
}

// Both programs are asked for one track at a time: FFmpeg's DASH demuxer ends all tracks with the
// first that ends, so together the others lose their last frames.
export async function ffprobe(url) {
  const { result, found, complaints } = await tracks(url);
  const frames = new Set();
  for (const { index, codec_type: kind, tags } of found) {
    const counted = await run('ffprobe', [
      '-v', 'warning', '-count_packets', '-select_streams', `${index}`,
      '-of', 'csv=print_section=0', '-show_entries', 'stream=nb_read_packets', url,
    ]);
    complaints.push(...counted.lines);
    // It takes the I-frame tracks of an MPD for renditions.
    if (kind === 'video' && !/^trick/.test(tags?.id ?? '')) frames.add(/\d+/.exec(counted.stdout)?.[0]);
  }
  if (frames.size > 1) complaints.push(`renditions differ in frames: ${[...frames].join(', ')}`);
  const names = found.map((track) => `${track.codec_type}${track.height ?? ''}`).sort().join(' ');
  return verdict(result, complaints, `${names}, ${[...frames].join('/')} frames each`);
}

// The cues that FFmpeg makes of an input, and whether they are those that were promised.
async function cueFaults(input, promised) {
  // Without -copyts it moves all times by the sound's priming.
  const read = await run('ffmpeg', ['-nostdin', '-v', 'warning', '-copyts', ...input, '-f', 'webvtt', '-']);
  const times = (cues) => [...new Set(cues.map(({ start, end }) => `${start}-${end}`))].sort().join(' ');
  const [found, expected] = [times(cuesOf(read.stdout)), times(promised)];
  const faults = verdict(read, read.lines).problems;
  if (found !== expected) faults.push(`${input.join(' ')}: cues at ${found}, not at ${expected}`);
  return faults;
}

// Decodes every track to its end. In HLS, text comes from its own playlists.
export async function ffmpeg(url, { texts }) {
  const { result, found, complaints } = await tracks(url);
  const subtitles = found.filter(({ codec_type: kind }) => kind === 'subtitle');
  for (const [at, text] of texts.entries()) {
    if (text.styled) continue; // FFmpeg 5.1 ends a file at its style sheet
    const input = subtitles.length > 0 ? ['-i', url, '-map', `0:s:${at}`] : ['-i', text.url];
    complaints.push(...await cueFaults(input, text.cues));
  }
  for (const { index, codec_type: kind } of found) {
    if (kind === 'subtitle') continue;
    const decoded = await run('ffmpeg', [
      '-nostdin', '-v', 'warning', '-i', url, '-map', `0:${index}`, '-f', 'null', '-',
    ]);
    complaints.push(...verdict(decoded, decoded.lines).problems);
  }
  return verdict(result, complaints);
}
