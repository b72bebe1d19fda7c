// Plays a title on the server's page as a person would: starts it, seeks, and waits for the end.
//
//   node watch.mjs URL-OF-PAGE
//
// Exit code 0 if it played and neither the page, the console nor a response had an error.

import { launch, watch } from './browser.mjs';

const START_MS = 20_000;
const END_MS = 20_000;

async function play(page) {
  const video = page.locator('video');
  await page.waitForFunction(() => document.querySelector('video').readyState >= 2, null, { timeout: START_MS });
  await video.evaluate((element) => {
    element.muted = true;
    return element.play();
  });
  await page.waitForFunction(() => document.querySelector('video').currentTime > 1, null, { timeout: START_MS });
  await video.evaluate((element) => { element.currentTime = element.duration - 2; });
  await page.waitForFunction(() => document.querySelector('video').ended, null, { timeout: END_MS });
  return video.evaluate((element) => element.getVideoPlaybackQuality().totalVideoFrames);
}

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node watch.mjs URL-OF-PAGE');
  process.exit(2);
}
const browser = await launch();
try {
  const page = await browser.newPage();
  const seen = watch(page);
  await page.goto(url);
  const frames = await play(page).catch((error) => seen.console.push(error.message.split('\n')[0]));
  const said = await page.locator('#trouble').textContent();
  const problems = [...seen.console, ...seen.http, ...(said ? [said] : [])];
  if (frames < 24) problems.push(`only ${frames} pictures were shown`);
  for (const problem of problems) console.error(`FAIL ${url}: ${problem}`);
  if (problems.length === 0) console.log(`${url}: ${frames} pictures, to the end`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await browser.close();
}
