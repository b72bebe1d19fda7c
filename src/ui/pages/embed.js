// The player alone, for frames in other people's pages. It asks the API nothing, because those
// who watch have no key: the address of the stream follows from the id.

import { byId, setText } from './elements.js';
import { Player } from './player.js';

const id = location.pathname.split('/').pop();
const mediaBase = document.querySelector('meta[name="headwater-media"]').content || location.origin;
const folder = `${mediaBase}/v/${id}`;

const video = byId('video');
const player = new Player(video);
player.addEventListener('trouble', ({ detail: { message } }) => {
  setText(byId('trouble'), message);
  byId('trouble').hidden = false;
});
player.addEventListener('well', () => { byId('trouble').hidden = true; });
player.load(`${folder}/index.m3u8`);

// Tried apart, because not every video has a poster, and a player shows a broken one as nothing.
const poster = new Image();
poster.addEventListener('load', () => { video.poster = poster.src; });
poster.src = `${folder}/poster.jpg`;
