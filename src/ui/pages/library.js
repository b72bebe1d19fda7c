// The library: a card for each asset, newest first, kept up to date.
//
// It asks for the list again and again rather than following each asset's events: a browser keeps
// six connections to a server, and a page of assets would need one each.

import * as api from './api.js';
import { confirm } from './dialogs.js';
import { announce, element, icon, iconButton, setText } from './elements.js';
import * as words from './words.js';

const PAGE_SIZE = 24;
const SOON_MS = 500;
const BUSY_MS = 2000;
const QUIET_MS = 15_000;
const HIDDEN_MS = 60_000;
// Assets beyond the first page that still change are asked for one by one, so many at a time.
const SINGLE_LOOKUPS = 6;

// `list` is the <ul>, `more` the button for the next page, `note` the line above the list, and `unlock`
// the button that asks for a key.
export class Library {
  constructor({ list, more, note, unlock }) {
    Object.assign(this, { list, more, note, unlock });
    this.cards = [];
    this.next = null;
    this.loaded = false;
    this.elsewhere = new Set();
    this.timer = null;
    this.turn = Promise.resolve();
    more.addEventListener('click', () => this.inTurn(() => this.loadMore()));
    document.addEventListener('visibilitychange', () => this.refreshSoon(document.hidden ? HIDDEN_MS : 0));
    window.addEventListener('keychange', () => this.refreshSoon(0));
  }

  // One at a time: an answer must not be merged into a list that another one changed meanwhile.
  inTurn(work) {
    this.turn = this.turn.then(work).catch((error) => this.say(error.message, 'error'));
    return this.turn;
  }

  refreshSoon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), ms);
  }

  refresh() {
    return this.inTurn(() => this.update()).then(() => this.refreshSoon(this.pause));
  }

  // How long a list stays good. What is being read is playable in a moment.
  get pause() {
    if (document.hidden) return HIDDEN_MS;
    const assets = this.cards.map((card) => card.asset);
    if (assets.some((asset) => asset.state === 'indexing')) return SOON_MS;
    return assets.some(words.isMoving) ? BUSY_MS : QUIET_MS;
  }

  // Leaves out assets that are shown as uploads of this page.
  hide(ids) {
    this.elsewhere = new Set(ids);
    for (const card of this.cards) card.node.hidden = this.elsewhere.has(card.id);
    this.showEmptiness();
  }

  async update() {
    let page;
    try {
      page = await api.assets(null, PAGE_SIZE);
    } catch (error) {
      const advice = error.passing ? ' Trying again.' : '';
      this.say(error.message + advice, 'error');
      this.unlock.hidden = error.status !== 401;
      return;
    }
    this.unlock.hidden = true;
    this.merge(page);
    await this.lookUpOthers(new Set(page.assets.map((asset) => asset.id)));
    this.showEmptiness();
  }

  // Puts the newest page into the list: what is new to the top, what the page should have and
  // hasn't out.
  merge({ assets, next }) {
    const listed = new Set(assets.map((asset) => asset.id));
    const overlaps = this.cards.some((card) => listed.has(card.id));
    const last = this.cards.findLastIndex((card) => listed.has(card.id));
    const covered = next && overlaps ? last + 1 : this.cards.length;
    for (const card of this.cards.slice(0, covered)) if (!listed.has(card.id)) this.drop(card);
    const rest = this.cards.filter((card) => !listed.has(card.id));
    this.cards = [...assets.map((asset) => this.cardOf(asset)), ...rest];
    if (!this.loaded || !overlaps || !next) this.next = next ?? null;
    this.loaded = true;
    this.place();
  }

  async loadMore() {
    const page = await api.assets(this.next, PAGE_SIZE);
    this.next = page.next ?? null;
    const known = new Set(this.cards.map((card) => card.id));
    const added = page.assets.filter((asset) => !known.has(asset.id)).map((asset) => this.cardOf(asset));
    this.cards.push(...added);
    this.place();
    added[0]?.link.focus();
  }

  async lookUpOthers(listed) {
    const others = this.cards.filter((card) => !listed.has(card.id) && words.isMoving(card.asset));
    for (const card of others.slice(0, SINGLE_LOOKUPS)) {
      try {
        card.show(await api.asset(card.id));
      } catch (error) {
        if (error.status === 404) this.drop(card);
      }
    }
  }

  cardOf(asset) {
    let card = this.cards.find(({ id }) => id === asset.id);
    if (!card) {
      card = new Card(asset.id, {
        onDelete: () => this.remove(card),
        onRetry: () => this.tryAgain(card),
      });
    }
    card.show(asset);
    card.node.hidden = this.elsewhere.has(asset.id);
    return card;
  }

  // Moves only what isn't in its place, so that the focus and running animations stay.
  place() {
    this.cards.forEach((card, index) => {
      const there = this.list.children[index];
      if (there !== card.node) this.list.insertBefore(card.node, there ?? null);
    });
    this.more.hidden = this.next === null;
  }

  drop(card) {
    const hadFocus = card.node.contains(document.activeElement);
    const neighbour = this.cards[this.cards.indexOf(card) + 1] ?? this.cards[this.cards.indexOf(card) - 1];
    this.cards = this.cards.filter((other) => other !== card);
    card.node.remove();
    if (hadFocus) (neighbour?.link ?? document.querySelector('#choose')).focus();
  }

  async remove(card) {
    if (card.isBusy) return;
    const title = words.title(card.asset);
    const sure = await confirm({
      title: 'Delete this video?',
      text: `“${title}” and its streams will be gone, also for those who are watching. This can't be undone.`,
      action: 'Delete',
    });
    if (!sure) return;
    card.busy(true);
    try {
      await api.remove(card.id);
    } catch (error) {
      if (error.status !== 404) {
        card.busy(false);
        card.complain(`Not deleted. ${error.message}`);
        return;
      }
    }
    // In turn, because an answer that was asked for before may still bring the card back.
    await this.inTurn(() => this.drop(card));
    announce(`${title} is deleted.`);
    this.showEmptiness();
    this.refreshSoon(0);
  }

  async tryAgain(card) {
    if (card.isBusy) return;
    card.busy(true);
    try {
      await api.retry(card.id);
      announce(`Trying ${words.title(card.asset)} again.`);
      this.refreshSoon(0);
    } catch (error) {
      card.complain(`It can't be tried again. ${error.message}`);
    }
    card.busy(false);
  }

  showEmptiness() {
    const shown = this.cards.filter((card) => !card.node.hidden).length;
    if (shown > 0) this.say('', '');
    else if (this.loaded) this.say('Nothing here yet. What you add appears here and plays within seconds.', 'empty');
  }

  say(text, tone) {
    this.note.className = `library-note ${tone}`;
    setText(this.note, text);
    this.note.hidden = text === '';
  }
}

class Card {
  constructor(id, { onDelete, onRetry }) {
    this.id = id;
    this.asset = null;
    this.complaint = '';
    this.link = element('a', { class: 'card-link' });
    this.picture = element('div', { class: 'card-picture' });
    this.length = element('span', { class: 'card-length' });
    this.words = element('p', { class: 'card-state' });
    this.bar = element('progress', { max: 1 });
    this.problem = element('p', { class: 'error card-problem' });
    this.retry = element('button', { type: 'button', class: 'button small', onclick: onRetry }, 'Try again');
    this.remove = iconButton('bin', 'Delete', onDelete);
    this.node = element('li', { class: 'card' },
      element('div', { class: 'card-frame' }, this.picture, this.length),
      element('div', { class: 'card-body' },
        element('h3', {}, this.link),
        this.remove,
        this.words,
        this.bar,
        this.problem,
        this.retry));
  }

  show(asset) {
    const before = this.asset;
    this.asset = asset;
    const title = words.title(asset);
    setText(this.link, title);
    this.link.title = title;
    this.link.href = `/watch/${encodeURIComponent(asset.id)}`;
    this.remove.setAttribute('aria-label', `Delete ${title}`);
    this.node.dataset.state = asset.state;
    this.node.dataset.asset = asset.id;
    setText(this.words, words.state(asset));
    setText(this.length, asset.duration_s ? words.duration(asset.duration_s) : '');
    this.showBar();
    this.showPicture();
    if (asset.state !== 'failed' && document.activeElement === this.retry) this.link.focus();
    this.retry.hidden = asset.state !== 'failed';
    if (before && before.state !== asset.state) this.tell(title);
    this.showProblem();
  }

  showBar() {
    const { segments_done: done = 0, segments_total: total = 0 } = this.asset.progress ?? {};
    this.bar.hidden = !['ready', 'indexing'].includes(this.asset.state);
    this.bar.setAttribute('aria-label', `Encoding of ${words.title(this.asset)}`);
    if (this.asset.state === 'ready' && total > 0) this.bar.value = done / total;
    else this.bar.removeAttribute('value');
  }

  showPicture() {
    const poster = api.reachable(this.asset.playback?.poster);
    const wanted = words.isPlayable(this.asset) && poster ? poster : this.asset.state;
    if (this.picture.dataset.shows === wanted) return;
    this.picture.dataset.shows = wanted;
    const placeholder = () => icon(this.asset.state === 'failed' ? 'broken' : 'film');
    if (wanted === this.asset.state) {
      this.picture.replaceChildren(placeholder());
      return;
    }
    const image = element('img', { src: wanted, alt: '', loading: 'lazy', decoding: 'async' });
    image.addEventListener('error', () => image.replaceWith(placeholder()));
    this.picture.replaceChildren(image);
  }

  showProblem() {
    const { state, error } = this.asset;
    let text = this.complaint;
    if (!text && state === 'failed') text = words.sentence(error?.message ?? 'the server gave no reason');
    if (!text && state === 'uploading') text = 'If its upload broke off, choose the same file again.';
    this.problem.classList.toggle('error', state !== 'uploading' || this.complaint !== '');
    setText(this.problem, text);
    this.problem.hidden = text === '';
  }

  tell(title) {
    this.complaint = '';
    if (this.asset.state === 'ready') announce(`${title} is ready to play.`);
    if (this.asset.state === 'complete') announce(`${title} is complete.`);
    if (this.asset.state === 'failed') announce(`${title} failed.`);
  }

  complain(text) {
    this.complaint = text;
    this.showProblem();
    announce(text);
  }

  // Not by disabling its buttons, which would lose the focus.
  busy(is) {
    this.node.setAttribute('aria-busy', is);
  }

  get isBusy() {
    return this.node.getAttribute('aria-busy') === 'true';
  }
}
