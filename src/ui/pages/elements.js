// Builds parts of the page. Text only ever enters as text nodes, so titles and messages can hold
// anything.

const SVG = 'http://www.w3.org/2000/svg';
const ICONS = new URL('icons.svg', import.meta.url).pathname;

// The element with that id, which the page is known to have.
export function byId(id) {
  return document.getElementById(id);
}

// An element with attributes and children. `on...` are listeners, `false` and `null` leave an
// attribute out, `true` sets an empty one.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Where a drawing of icons.svg is.
export function iconAddress(name) {
  return `${ICONS}#${name}`;
}

// A drawing of icons.svg in the colour of the text around it.
export function icon(name) {
  const drawing = document.createElementNS(SVG, 'svg');
  drawing.setAttribute('class', 'icon');
  drawing.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', iconAddress(name));
  drawing.append(use);
  return drawing;
}

// A button that shows only an icon; `label` is what it is called.
export function iconButton(name, label, onclick) {
  return element('button', {
    type: 'button', class: 'button icon-button', 'aria-label': label, title: label, onclick,
  }, icon(name));
}

// Sets a text only where it changed, so that assistive technology is not told the same again.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Tells those who don't see the page what happened.
export function announce(text) {
  byId('announcements').textContent = text;
}
