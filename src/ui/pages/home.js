// The page `/`: takes files and addresses, and shows the library.

import * as api from './api.js';
import { announce, byId } from './elements.js';
import { Library } from './library.js';
import { Uploads } from './uploads.js';

const library = new Library({
  list: byId('cards'), more: byId('more'), note: byId('library-note'), unlock: byId('give-key'),
});
const uploads = new Uploads(byId('uploads'), {
  onUploaded: () => library.refreshSoon(0),
  onChange: () => library.hide(uploads.assets),
});

function complain(text) {
  byId('add-note').textContent = text;
  byId('add-note').hidden = text === '';
}

// ---- files

function take(files, refusals = []) {
  complain([...refusals, ...uploads.add(files)].join(' '));
}

byId('choose').addEventListener('click', () => byId('files').click());
byId('files').addEventListener('change', (event) => {
  take([...event.target.files]);
  // The same file chosen again must be a change again.
  event.target.value = '';
});

const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');

// A folder can't be read like a file; only its entry tells that it is one.
function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory;
  const folders = items.filter(isFolder).length;
  const files = items.filter((item) => !isFolder(item)).map((item) => item.getAsFile());
  const refusals = folders > 0 ? ["A folder can't be uploaded. Drop the files that are in it."] : [];
  return { files: files.filter(Boolean), refusals };
}

// The whole page takes files: who misses the zone must not lose the page to the video.
let inside = 0;
function showDrag(by) {
  inside = Math.max(0, inside + by);
  byId('drop').classList.toggle('over', inside > 0);
}
document.addEventListener('dragenter', (event) => { if (carriesFiles(event)) showDrag(1); });
document.addEventListener('dragleave', (event) => { if (carriesFiles(event)) showDrag(-1); });
document.addEventListener('dragover', (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = 'copy';
});
document.addEventListener('drop', (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  showDrag(-inside);
  const { files, refusals } = dropped(event.dataTransfer);
  take(files, refusals);
});

// ---- addresses

byId('pull').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector('button');
  complain('');
  button.disabled = true;
  try {
    await api.pull(byId('address').value.trim());
    form.reset();
    announce('Added. The server fetches it now.');
    library.refreshSoon(0);
  } catch (error) {
    complain(`Not added. ${error.message}`);
  }
  button.disabled = false;
});

// ---- key

byId('give-key').addEventListener('click', async () => {
  if (await api.enterKey()) library.refreshSoon(0);
});
function showKeyButton() {
  byId('change-key').hidden = api.key() === null;
}
byId('change-key').addEventListener('click', () => api.enterKey());
window.addEventListener('keychange', showKeyButton);
showKeyButton();

library.refresh();
