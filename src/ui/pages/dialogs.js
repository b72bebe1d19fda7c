// Questions to the person: native modal dialogs, which keep the focus inside, close on Escape and
// give the focus back.

import { element } from './elements.js';

// Shows a dialog around `form` and resolves with what `answer` makes of its submit button, or null
// when it was closed otherwise.
function ask(titleText, form, answer) {
  const title = element('h2', { id: 'dialog-title' }, titleText);
  const dialog = element('dialog', { 'aria-labelledby': 'dialog-title' }, title, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    let result = null;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      result = answer();
      dialog.close();
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(result);
    });
  });
}

function buttons(action, tone) {
  const cancel = (event) => event.target.closest('dialog').close();
  return element('p', { class: 'dialog-buttons' },
    element('button', { type: 'button', class: 'button', onclick: cancel }, 'Cancel'),
    element('button', { class: `button ${tone}` }, action));
}

// Whether the person wants `action` done. The focus starts on Cancel.
export async function confirm({ title, text, action }) {
  const form = element('form', {}, element('p', {}, text), buttons(action, 'danger'));
  return await ask(title, form, () => true) ?? false;
}

// An API key as { key, remember }, or null.
export function askForKey({ refused, remembered }) {
  const input = element('input', {
    id: 'key', type: 'password', required: true, autocomplete: 'off', spellcheck: 'false', autofocus: true,
    'aria-describedby': 'key-hint',
  });
  const remember = element('input', { id: 'remember', type: 'checkbox', checked: remembered });
  const hint = refused
    ? 'The server refused the key it was given. It may have been replaced or withdrawn.'
    : 'The server shows one when it starts for the first time. It is sent to this server only.';
  const form = element('form', {},
    element('p', { id: 'key-hint', class: refused ? 'error' : '' }, hint),
    element('label', { for: 'key' }, 'API key'),
    input,
    element('label', { class: 'check' }, remember, 'Remember it in this browser'),
    buttons('Use this key', 'primary'));
  return ask('This server needs an API key', form, () => ({
    key: input.value.trim(), remember: remember.checked,
  }));
}
