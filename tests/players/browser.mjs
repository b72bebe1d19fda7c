// Headless Chromium for the tests, and what it complains about.
//
// CHROMIUM names the browser if it isn't `chromium`.

import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--autoplay-policy=no-user-gesture-required',
  '--mute-audio',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

function browserPath() {
  return process.env.CHROMIUM ?? execFileSync('sh', ['-c', 'command -v chromium']).toString().trim();
}

export async function launch() {
  // Chromium refuses to be root inside its own sandbox.
  const args = process.getuid() === 0 ? [...FLAGS, '--no-sandbox'] : FLAGS;
  return chromium.launch({ executablePath: browserPath(), headless: true, args });
}

// Collects what the browser itself says of a page: console errors and refused responses.
export function watch(page) {
  const seen = { console: [], http: [], requests: 0 };
  page.on('console', (message) => {
    const gap = message.type() === 'warning' && /\bgap\b/i.test(message.text());
    if (message.type() === 'error' || gap) seen.console.push(message.text().slice(0, 300));
  });
  page.on('pageerror', (error) => seen.console.push(`uncaught: ${error.message}`));
  page.on('response', (response) => {
    seen.requests += 1;
    if (response.status() >= 400) seen.http.push(`${response.status()} ${response.url()}`);
  });
  return seen;
}
