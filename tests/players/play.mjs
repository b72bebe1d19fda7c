// Plays one URL with one web player in headless Chromium and prints what happened as JSON.
//
//   node play.mjs URL hls.js|shaka|dash.js|native [--all-renditions] [--timeout SECONDS]
//
// Exit code 0: it started at 0 without a hole, sought to 60 %, reached the end, played every
// rendition when asked to, and neither the player, the console nor a response had an error.
// The browser: see browser.mjs.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, watch } from './browser.mjs';
import { serve } from './static_server.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const LIBRARIES = {
  'hls.js': 'node_modules/hls.js/dist/hls.js',
  shaka: 'node_modules/shaka-player/dist/shaka-player.compiled.js',
  'dash.js': 'node_modules/dashjs/dist/modern/umd/dash.all.debug.js',
  native: null,
};

export const PLAYERS = Object.keys(LIBRARIES);

async function within(seconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export async function play(url, player, { allRenditions = false, texts = [], timeoutSeconds = 180 } = {}) {
  const pages = await serve(HERE);
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const seen = watch(page);
    await page.goto(`${pages.base}page.html`);
    if (LIBRARIES[player]) await page.addScriptTag({ url: `${pages.base}${LIBRARIES[player]}` });
    await page.addScriptTag({ url: `${pages.base}page.js` });
    const run = page.evaluate(
      ([...given]) => exercise(...given), [url, player, allRenditions, texts]);
    const report = await within(timeoutSeconds, run).catch((error) => ({
      errors: [], failures: [error.message],
    }));
    const ok = [report.errors, report.failures, seen.console, seen.http].every((list) => list.length === 0);
    return { url, player, ok, ...report, ...seen };
  } finally {
    await browser.close();
    pages.close();
  }
}

async function main(args) {
  const [url, player] = args;
  const timeout = args.indexOf('--timeout');
  if (!url || !PLAYERS.includes(player)) {
    console.error(`usage: node play.mjs URL ${PLAYERS.join('|')} [--all-renditions] [--timeout SECONDS]`);
    process.exit(2);
  }
  const report = await play(url, player, {
    allRenditions: args.includes('--all-renditions'),
    timeoutSeconds: timeout < 0 ? undefined : Number(args[timeout + 1]),
  });
  console.log(JSON.stringify(report, null, 1));
  process.exit(report.ok ? 0 : 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
