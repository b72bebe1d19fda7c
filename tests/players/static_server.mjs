// A file server with just what players need: byte ranges, CORS, and the media types of HLS and
// DASH. It records every request that it refused, so that a reader which hides a 404 is caught.
//
//   node static_server.mjs DIR [PORT]

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const MEDIA_TYPES = {
  '.m3u8': 'application/vnd.apple.mpegurl', // RFC 8216, section 4
  '.mpd': 'application/dash+xml', // ISO/IEC 23009-1, annex C
  '.mp4': 'video/mp4',
  '.m4s': 'video/iso.segment', // ISO/IEC 23009-1, annex C
  '.vtt': 'text/vtt',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
};

// The first and last byte that a Range header asks for, or null where it can't be satisfied.
// One range only: no player asks for more.
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header);
  if (!match || (match[1] === '' && match[2] === '')) return null;
  const first = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const last = match[1] === '' || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return first <= last ? { first, last } : null;
}

async function answer(root, request, response) {
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Allow-Headers', 'Range');
  response.setHeader('Access-Control-Expose-Headers', 'Content-Length, Content-Range');
  if (request.method === 'OPTIONS') return response.writeHead(204).end();
  if (request.method !== 'GET' && request.method !== 'HEAD') return response.writeHead(405).end();

  const name = path.normalize(decodeURIComponent(new URL(request.url, 'http://host').pathname));
  const file = path.join(root, name);
  const found = await stat(file).catch(() => null);
  if (!found?.isFile()) return response.writeHead(404).end();

  const type = MEDIA_TYPES[path.extname(file)] ?? 'application/octet-stream';
  const headers = { 'Content-Type': type, 'Accept-Ranges': 'bytes', 'Content-Length': found.size };
  let status = 200;
  let range = { first: 0, last: found.size - 1 };
  if (request.headers.range) {
    range = parseRange(request.headers.range, found.size);
    if (!range) return response.writeHead(416, { 'Content-Range': `bytes */${found.size}` }).end();
    status = 206;
    headers['Content-Length'] = range.last - range.first + 1;
    headers['Content-Range'] = `bytes ${range.first}-${range.last}/${found.size}`;
  }
  response.writeHead(status, headers);
  if (request.method === 'HEAD' || found.size === 0) return response.end();
  const body = createReadStream(file, { start: range.first, end: range.last });
  body.on('error', () => response.destroy());
  response.on('close', () => body.destroy());
  body.pipe(response);
}

// Serves a folder on the loopback address: { base, refused, close }.
export async function serve(root, port = 0) {
  const refused = [];
  const server = createServer((request, response) => {
    response.on('finish', () => {
      if (response.statusCode >= 400) refused.push(`${response.statusCode} ${request.url}`);
    });
    answer(path.resolve(root), request, response).catch(() => {
      if (!response.headersSent) response.writeHead(400);
      response.end();
    });
  });
  // FFmpeg warns when a connection that it kept was closed meanwhile; a server may keep them.
  server.keepAliveTimeout = 0;
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { base: `http://127.0.0.1:${server.address().port}/`, refused, close };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [dir, port] = process.argv.slice(2);
  if (!dir) {
    console.error('usage: node static_server.mjs DIR [PORT]');
    process.exit(2);
  }
  console.log((await serve(dir, Number(port ?? 0))).base);
}
