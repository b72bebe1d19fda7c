// The readers that are programs: mpv, GStreamer, ffprobe and FFmpeg. Each reads a whole
// presentation from one manifest. On a sound stream all of them are silent, so any line that they
// print is a complaint; the two that they print about themselves are named here with their reason.

import { execFile } from 'node:child_process';

const TIMEOUT_MS = 180_000;

// Runs a program with its standard input closed: { code, stdout, stderr, lines }.
function run(program, args, env = {}) {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: 1 << 26, env: { ...process.env, ...env } };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const code = error ? error.code ?? `killed by ${error.signal}` : 0;
      const lines = stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '');
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
const each = (read) => async (url, playlists) => {
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
  const said = `${result.stdout}\n${result.stderr}`.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return verdict(result, said);
});

// gst-launch prints the HTTP session that its elements share, and GStreamer 1.22 can't print one.
const GST_SELF_TALK = /No value transform to serialize field 'session' of type 'GstSoupSession'/;

export const gstreamer = each(async (url) => {
  // The first start after an installation scans all plugins and warns of absent drivers.
  await run('gst-inspect-1.0', ['playbin3']);
  const result = await run('gst-launch-1.0', [
    'playbin3', `uri=${url}`, 'video-sink=fakesink sync=false', 'audio-sink=fakesink sync=false',
  ], { GST_DEBUG: '2', GST_DEBUG_NO_COLOR: '1' });
  const warned = [...result.lines, ...result.stdout.split(/[\r\n]+/).filter((l) => /^(WARNING|ERROR)/.test(l))];
  const complaints = warned.filter((line) => !GST_SELF_TALK.test(line));
  if (!/Got EOS/.test(result.stdout)) complaints.push('the end of the stream was not reached');
  return verdict(result, complaints);
});

// The tracks that FFmpeg finds, or what it said instead.
async function tracks(url) {
  const result = await run('ffprobe', [
    '-v', 'warning', '-of', 'json', '-show_entries', 'stream=index,codec_type,height', url,
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
  for (const { index, codec_type: kind } of found) {
    const counted = await run('ffprobe', [
      '-v', 'warning', '-count_packets', '-select_streams', `${index}`,
      '-of', 'csv=print_section=0', '-show_entries', 'stream=nb_read_packets', url,
    ]);
    complaints.push(...counted.lines);
    if (kind === 'video') frames.add(/\d+/.exec(counted.stdout)?.[0]);
  }
  if (frames.size > 1) complaints.push(`renditions differ in frames: ${[...frames].join(', ')}`);
  const names = found.map((track) => `${track.codec_type}${track.height ?? ''}`).sort().join(' ');
  return verdict(result, complaints, `${names}, ${[...frames].join('/')} frames each`);
}

// Decodes every track to its end.
export async function ffmpeg(url) {
  const { result, found, complaints } = await tracks(url);
  for (const { index } of found) {
    const decoded = await run('ffmpeg', [
      '-nostdin', '-v', 'warning', '-i', url, '-map', `0:${index}`, '-f', 'null', '-',
    ]);
    complaints.push(...verdict(decoded, decoded.lines).problems);
  }
  return verdict(result, complaints);
}
