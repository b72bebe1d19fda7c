// The chapters of a stream: a list to jump with, and a track that players of the browser's own show.

import { byId, element, setText } from './elements.js';
import * as words from './words.js';

const DATA_ID = 'com.apple.hls.chapters';

// Chapters by the list that the playlist names: [{ start, title }]; none where it names none.
export async function chaptersOf({ sessionData, url: playlist }) {
  const uri = sessionData?.[DATA_ID]?.URI;
  if (!uri) return { chapters: [], textUrl: null };
  const url = new URL(uri, playlist).href;
  const response = await fetch(url);
  if (!response.ok) return { chapters: [], textUrl: null };
  const list = await response.json();
  const chapters = list.map((chapter) => ({
    start: chapter['start-time'], title: chapter.titles?.[0]?.title ?? '',
  }));
  return { chapters, textUrl: url.replace(/\.json(\?|$)/, '.vtt$1') };
}

// Shows them in the box `chapters-box`; a click seeks.
export function showChapters(video, { chapters, textUrl }) {
  byId('chapters-box').hidden = chapters.length === 0;
  byId('chapters').replaceChildren(...chapters.map(({ start, title }) => {
    const name = element('span', { class: 'chapter-name' });
    setText(name, title);
    const time = element('span', { class: 'chapter-time' }, words.duration(start));
    const button = element('button', { type: 'button', class: 'chapter' }, time, name);
    button.dataset.start = start;
    button.addEventListener('click', () => { video.currentTime = start; });
    return element('li', {}, button);
  }));
  video.querySelector('track[kind="chapters"]')?.remove();
  if (chapters.length > 0) video.append(element('track', { kind: 'chapters', src: textUrl }));
}

// Marks the chapter that plays.
export function markChapter(time) {
  const buttons = [...byId('chapters').querySelectorAll('button')];
  const current = buttons.findLast((button) => Number(button.dataset.start) <= time + 0.05);
  for (const button of buttons) {
    if (button === current) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}
