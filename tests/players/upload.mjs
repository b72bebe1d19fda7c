// Uses the pages of a running server as a person would: uploads a clip by keyboard, pauses, goes on,
// watches it, picks a rung, seeks, adds captions, looks at the embedded player, deletes it.
//
//   node upload.mjs URL CLIP [--key KEY] [--bad CLIP] [--keep] [--screenshots DIR]
//
// --key: the API key to give when the page asks. --bad: a clip that must end as failed, with a reason.
// --keep: don't delete what was uploaded. --screenshots: where to put pictures of each page, 1280 and
// 360 px wide, light and dark. Exit code 0 if all went well and neither the console nor a response had
// an error; else the first line that begins with FAIL says what went wrong.
// The browser: see browser.mjs.

import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, watch } from './browser.mjs';

const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 360, height: 740 };
const UPLOAD_SECONDS = 4;
const PLAYABLE_MS = 120_000;
const STEP_MS = 20_000;
const CAPTIONS = 'WEBVTT\n\n00:00.000 --> 99:00:00.000\nA line of captions\n';

class Failure extends Error {}

function expect(holds, what) {
  if (!holds) throw new Failure(what);
}

function parse(args) {
  const options = { keep: false };
  const rest = [];
  for (let i = 0; i < args.length; i += 1) {
    const name = /^--(key|bad|keep|screenshots)$/.exec(args[i])?.[1];
    if (name === 'keep') options.keep = true;
    else if (name) options[name] = args[i += 1];
    else rest.push(args[i]);
  }
  [options.base, options.clip] = rest;
  return rest.length === 2 ? options : null;
}

class Visit {
  constructor(page, options) {
    this.page = page;
    this.options = options;
    this.seen = watch(page);
    // From the start: listening only before the dialog is opened is a race, and sometimes too late.
    page.on('filechooser', (chooser) => chooser.setFiles(options.clip));
  }

  // Waits for a condition in the page, and gives its value. `what` completes "the page never ...".
  async until(condition, argument, what, timeout = STEP_MS) {
    const value = await this.page.waitForFunction(condition, argument, { timeout }).catch(() => {
      throw new Failure(`the page never ${what}`);
    });
    return value.jsonValue();
  }

  async text(selector) {
    return (await this.page.locator(selector).first().textContent()).trim().replace(/\s+/g, ' ');
  }

  // Nothing may be wider than the window, on a phone least of all.
  async fits(name) {
    for (const size of [NARROW, WIDE]) {
      await this.page.setViewportSize(size);
      const over = await this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(over <= 0, `${name} is ${over} px too wide for a window of ${size.width} px`);
    }
  }

  async look(name) {
    await this.fits(name);
    const folder = this.options.screenshots;
    if (!folder) return;
    for (const size of [NARROW, WIDE]) {
      await this.page.setViewportSize(size);
      for (const colorScheme of ['dark', 'light']) {
        await this.page.emulateMedia({ colorScheme });
        const place = path.join(folder, `${name}-${size.width}-${colorScheme}.png`);
        await this.page.screenshot({ path: place, fullPage: true });
      }
    }
  }

  // ---- the steps

  async openLibrary() {
    await this.page.goto(this.options.base);
    if (this.options.key) await this.giveKey();
    await this.libraryLoads();
    expect(!await this.page.isVisible('.library-note.error'), `the library says: ${await this.text('#library-note')}`);
    await this.look('library-before');
  }

  async libraryLoads() {
    const loaded = () => !document.querySelector('#library-note').textContent.startsWith('Loading');
    await this.until(loaded, null, 'loaded the library');
  }

  async giveKey() {
    await this.page.waitForSelector('dialog input', { timeout: STEP_MS }).catch(() => {
      throw new Failure('the page never asked for a key');
    });
    await this.page.keyboard.type(this.options.key);
    await this.page.keyboard.press('Enter');
    await this.page.waitForSelector('dialog', { state: 'detached', timeout: STEP_MS });
  }

  // What Tab reaches, in order, and that it can be seen.
  async tabThrough(wanted) {
    for (const selector of wanted) {
      await this.page.keyboard.press('Tab');
      const focus = await this.page.evaluate((expected) => {
        const at = document.activeElement;
        const style = getComputedStyle(at);
        const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
        return { there: at.matches(expected), outlined, at: `${at.tagName.toLowerCase()}#${at.id}.${at.className}` };
      }, selector);
      expect(focus.there, `Tab came to ${focus.at} instead of ${selector}`);
      expect(focus.outlined, `${selector} doesn't show that it has the focus`);
    }
  }

  // Slows uploads down so that they can be watched; null: as fast as it goes.
  async limitUpload(bytesPerSecond) {
    this.network ??= await this.page.context().newCDPSession(this.page);
    await this.network.send('Network.emulateNetworkConditions', {
      offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond ?? -1,
    });
  }

  async upload() {
    const { clip } = this.options;
    await this.rememberCards();
    await this.page.evaluate(() => document.activeElement.blur());
    await this.tabThrough(['.skip', '.brand', ...(this.options.key ? ['#change-key'] : []), '#choose']);
    await this.limitUpload(Math.ceil(statSync(clip).size / UPLOAD_SECONDS));
    await this.page.keyboard.press('Enter');
    await this.until(() => document.querySelector('.upload progress')?.value > 0, null, 'showed the upload moving');
    await this.look('uploading');
    await this.pauseAndGoOn();
    await this.until(() => !document.querySelector('.upload'), null, 'finished the upload', 60_000);
    await this.limitUpload(null);
  }

  async pauseAndGoOn() {
    const pause = this.page.locator('.upload [aria-label^="Pause"]');
    // A small clip may be through already.
    if (!await pause.isVisible()) return;
    await pause.focus();
    await this.page.keyboard.press('Enter');
    await this.until(() => document.querySelector('.upload')?.dataset.state === 'paused', null, 'paused the upload');
    const focused = await this.page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? '');
    expect(focused.startsWith('Go on'), `after pausing, the focus is on "${focused}"`);
    await this.page.keyboard.press('Enter');
  }

  // The assets whose cards there are already: another run may have left one of the same title.
  async rememberCards() {
    await this.libraryLoads();
    this.known = await this.page.locator('.card').evaluateAll((cards) => cards.map((card) => card.dataset.asset));
  }

  // The new card of a clip, once it has one of these states.
  async newCard(clip, states, what) {
    const title = path.basename(clip).replace(/\.[^.]*$/, '');
    const find = ([name, wanted, known]) => {
      const cards = [...document.querySelectorAll('.card:not([hidden])')];
      const found = cards.find((card) => !known.includes(card.dataset.asset)
        && card.querySelector('.card-link').textContent === name && wanted.includes(card.dataset.state));
      return found?.dataset.asset ?? false;
    };
    const id = await this.until(find, [title, states, this.known], what, PLAYABLE_MS);
    return { id, card: this.page.locator(`.card[data-asset="${id}"]`) };
  }

  async waitUntilPlayable() {
    const began = performance.now();
    const states = ['ready', 'complete', 'failed'];
    const { id, card } = await this.newCard(this.options.clip, states, 'showed the clip as playable');
    const words = (await card.innerText()).replace(/\s+/g, ' ');
    expect(await card.getAttribute('data-state') !== 'failed', `the clip failed: ${words}`);
    this.id = id;
    console.log(`playable ${Math.round(performance.now() - began)} ms after the upload: ${words}`);
    await this.look('library');
    await card.getByRole('link').focus();
    await this.page.keyboard.press('Enter');
    await this.page.waitForURL('**/watch/**', { timeout: STEP_MS });
  }

  async plays(seconds, what) {
    const from = await this.page.evaluate(() => document.querySelector('video').currentTime);
    await this.until(([start, length]) => {
      const video = document.querySelector('video');
      return video.ended || video.currentTime > start + length;
    }, [from, seconds], `played ${what}; it says: ${await this.text('#trouble')}`, STEP_MS + seconds * 1000);
  }

  async watchIt() {
    await this.until(() => document.querySelector('video').readyState >= 2, null, 'showed a first frame');
    await this.page.evaluate(() => document.querySelector('video').play());
    await this.plays(1, 'from the start');
    await this.until(() => document.querySelectorAll('.rung').length > 1, null, 'listed the rungs');
    await this.until(() => document.querySelector('#figure-first').textContent.includes('s'), null, 'measured the first frame');
    console.log(`watching: first frame after ${await this.text('#figure-first')}, ${await this.page.locator('.rung').count() - 1} rungs`);
    await this.look('watching');
  }

  async seek() {
    const target = await this.page.evaluate(() => {
      const video = document.querySelector('video');
      video.currentTime = video.duration * 0.6;
      return video.currentTime;
    });
    await this.until((to) => {
      const video = document.querySelector('video');
      return !video.seeking && (video.ended || video.currentTime > to + 0.5);
    }, target, 'played on after a seek to 60 %');
  }

  // The smallest rung, chosen like any radio button.
  async pickRung() {
    await this.page.evaluate(() => { document.querySelector('video').currentTime = 0; });
    await this.page.locator('.rung input').last().check();
    await this.until(() => {
      const video = document.querySelector('video');
      // A short clip may end before the next segment, which is the first of the new rung.
      if (video.ended || video.duration - video.currentTime < 0.5) video.currentTime = 0;
      if (video.paused) video.play();
      return document.querySelector('.rung:last-child').classList.contains('plays');
    }, null, 'played the rung that was picked');
  }

  // What the copy buttons give is what a player gets.
  async addresses() {
    for (const [field, beginning] of [['hls-address', '#EXTM3U'], ['dash-address', '<']]) {
      await this.page.click(`[data-copies="${field}"]`);
      await this.until((name) => document.querySelector(`[data-copies="${name}"]`).textContent === 'Copied', field,
        `said that it copied the ${field}`);
      const url = await this.page.inputValue(`#${field}`);
      const response = await fetch(url);
      expect(response.ok && (await response.text()).startsWith(beginning), `${url} is no manifest (${response.status})`);
    }
  }

  async captions() {
    const file = { name: 'lines.vtt', mimeType: 'text/vtt', buffer: Buffer.from(CAPTIONS) };
    await this.page.setInputFiles('#captions-file', file);
    await this.page.fill('#captions-language', 'en');
    await this.page.press('#captions-language', 'Enter');
    await this.until(() => /added/.test(document.querySelector('#captions-note').textContent), null,
      `took captions; it says: ${await this.text('#captions-note')}`);
    await this.until(() => document.querySelectorAll('#captions li').length > 0, null, 'listed the captions');
  }

  async embedded() {
    await this.page.goto(new URL(`/watch/${this.id}?embed`, this.options.base).href);
    await this.until(() => document.querySelector('video').readyState >= 2, null, 'showed a frame when embedded');
    await this.page.evaluate(() => document.querySelector('video').play());
    await this.plays(0.5, 'when embedded');
    await this.look('embedded');
  }

  async uploadBad() {
    await this.rememberCards();
    await this.page.setInputFiles('#files', this.options.bad);
    const { id, card } = await this.newCard(this.options.bad, ['failed'], 'showed the bad clip as failed');
    const reason = (await card.locator('.card-problem').textContent()).trim();
    expect(reason.length > 10, 'the card of the bad clip gives no reason');
    console.log(`failed as it should: ${reason}`);
    await this.look('library-failed');
    await card.getByRole('link').click();
    await this.until(() => document.querySelector('.stage-message.bad:not([hidden])'), null, 'said why there is nothing to watch');
    await this.look('failed');
    await this.page.goto(this.options.base);
    await this.remove(id);
  }

  async remove(id) {
    const card = this.page.locator(`.card[data-asset="${id}"]`);
    await card.locator('[aria-label^="Delete"]').click({ timeout: STEP_MS });
    await this.page.locator('dialog .danger').click({ timeout: STEP_MS });
    await card.waitFor({ state: 'detached', timeout: STEP_MS }).catch(() => {
      throw new Failure('the page never let go of a deleted card');
    });
  }

  // A page that asks for a key is told 401 first; an upload that goes on while the server still reads
  // what was sent before the pause is told 409 or 423, and asks again where it is.
  complaints() {
    const expected = (line) => (this.options.key && /\b401\b/.test(line))
      || /^(409|423) .*\/uploads\//.test(line) || /status of (409|423)\b/.test(line);
    return [...this.seen.console, ...this.seen.http].filter((line) => !expected(line));
  }
}

async function run(options) {
  const browser = await launch();
  try {
    const context = await browser.newContext({ viewport: WIDE });
    const visit = new Visit(await context.newPage(), options);
    await visit.openLibrary();
    await visit.upload();
    await visit.waitUntilPlayable();
    await visit.watchIt();
    await visit.seek();
    await visit.pickRung();
    await visit.addresses();
    await visit.captions();
    await visit.embedded();
    await visit.page.goto(options.base);
    if (!options.keep) await visit.remove(visit.id);
    if (options.bad) await visit.uploadBad();
    const complaints = visit.complaints();
    expect(complaints.length === 0, `the browser complained: ${complaints.slice(0, 5).join('; ')}`);
    console.log('ok: uploaded, watched, sought and embedded by the pages');
  } finally {
    await browser.close();
  }
}

async function main(args) {
  const options = parse(args);
  if (!options) {
    console.error('usage: node upload.mjs URL CLIP [--key KEY] [--bad CLIP] [--keep] [--screenshots DIR]');
    return 2;
  }
  if (options.screenshots) mkdirSync(options.screenshots, { recursive: true });
  try {
    await run(options);
    return 0;
  } catch (error) {
    console.error(`FAIL ${error instanceof Failure ? error.message : error.stack}`);
    return 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(await main(process.argv.slice(2)));
