// The captions of a video on its page: which there are, and a form for more.

import * as api from './api.js';
import { announce, byId, element, setText } from './elements.js';
import * as words from './words.js';

// `onAdded` is called once the server has taken a file.
export function captionsForm(id, onAdded) {
  const form = byId('captions-form');
  const note = byId('captions-note');
  const say = (text, isError) => {
    note.classList.toggle('error', isError);
    note.hidden = text === '';
    setText(note, text);
  };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const [file] = byId('captions-file').files;
    const language = byId('captions-language').value.trim();
    const button = form.querySelector('button');
    button.disabled = true;
    say('Adding', false);
    try {
      await api.addCaptions(id, language, file);
      form.reset();
      say(`${words.language(language)} captions added. Turn them on in the player.`, false);
      announce('Captions added.');
      onAdded();
    } catch (error) {
      say(`Not added. ${error.message}`, true);
    }
    button.disabled = false;
  });
}

export function showCaptions(tracks) {
  const items = tracks.map(({ name, language }) => element('li', {}, name || words.language(language)));
  byId('captions').replaceChildren(...items);
  byId('captions').hidden = items.length === 0;
  byId('no-captions').hidden = items.length > 0;
}
