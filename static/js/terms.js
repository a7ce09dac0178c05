// The terms: which one is shown, and whether its registration is open by the hub's clock.

import { h, put } from "./dom.js";
import { api } from "./api.js";
import { currentTerm, hubNow, phaseOf, rememberedTerm, rememberTerm, syncClock, windowOf } from "./hub-clock.js";
import { setZone } from "./i18n.js";

/** Thousands of pages that are notified at once read the terms within this time. */
const SPREAD_MS = 15_000;

export class Terms {
  #items = [];
  #phase = "";
  #chosen;
  /** The numbers of the last request and of the one whose response is shown. */
  #sent = 0;
  #read = 0;
  loaded = false;

  /**
   * `onchange()` is called for another term or another phase of it, and whenever the terms have been read or changed;
   * `ontick()` each second; `onread(response)` after each reading of the terms.
   */
  constructor(select, { chosen, onchange, ontick = () => {}, onread = () => {} }) {
    Object.assign(this, { select, onchange, ontick, onread });
    this.#chosen = chosen ?? rememberedTerm();
    select.addEventListener("change", () => {
      this.#chosen = select.value;
      rememberTerm(select.value);
      this.#phase = "";
      this.tick();
    });
    const tickEachSecond = () => {
      this.tick();
      // On the hub's full second, when the countdown reaches 0.
      setTimeout(tickEachSecond, 1000 - hubNow() % 1000);
    };
    tickEachSecond();
  }

  /** Reads the terms again. */
  async load(signal) {
    const sentAt = Date.now();
    const request = this.#sent += 1;
    const response = await api.get("/api/v1/terms", { signal });
    // A response to a later request has arrived before.
    if (request < this.#read) return;
    this.#read = request;
    const { items, college } = response;
    this.#items = items;
    this.loaded = true;
    this.college = college;
    if (college?.timezone) setZone(college.timezone);
    if (items[0]?.now) syncClock(items[0].now, sentAt);
    this.#show();
    this.onread(response);
  }

  /** Shows the terms to choose from, and the state of the current one. */
  #show() {
    const id = this.current?.id;
    const options = this.#items.map((term) => h("option", { value: term.id, selected: term.id === id }, term.title || term.id));
    // The choice may be open, so it changes only if the terms do.
    const before = [...this.select.options];
    if (before.length !== options.length || options.some((option, i) => !option.isEqualNode(before[i]))) put(this.select, options);
    this.select.value = id ?? "";
    this.#chosen = id;
    this.#phase = "";
    this.tick();
  }

  /** Applies a frame that reports the opening of a window, which staff may have moved while the page was open. */
  opened({ term, opens_at, closes_at }) {
    const item = this.#items.find((one) => one.id === term);
    if (!item) return;
    Object.assign(item.mine ?? item, { opens_at, closes_at });
    this.tick();
  }

  /** The term that is shown; see `currentTerm`. Undefined while there are no terms. */
  get current() {
    return currentTerm(this.#items, this.#chosen);
  }

  /** Returns the window of a term; see `windowOf`. */
  window(term) {
    return windowOf(term);
  }

  /**
   * Shows a term that was created or changed, from a frame of the live connection. What applies to one student is not
   * part of it, so pages of students read the terms again, within `SPREAD_MS`.
   */
  changed({ term: { id, title, opens_at, closes_at } }) {
    const isForStudent = this.#items.some(({ mine }) => mine);
    const term = this.#items.find((one) => one.id === id);
    if (!term) {
      // In the order of the hub.
      this.#items = [...this.#items, { id, title, opens_at, closes_at }].sort((a, b) => a.id < b.id ? -1 : 1);
    } else {
      const { mine } = term;
      if (mine && mine.opens_at === term.opens_at && mine.closes_at === term.closes_at) Object.assign(mine, { opens_at, closes_at });
      Object.assign(term, { title, opens_at, closes_at });
    }
    this.#show();
    if (isForStudent || !term) this.#readSoon();
  }

  /** Reads the terms again after the connection was lost, because they may have changed. */
  reconnected() {
    if (this.loaded) this.#readSoon();
  }

  #readSoon() {
    setTimeout(() => this.load().catch(() => {}), Math.random() * SPREAD_MS);
  }

  /** Returns the phase of a term; see `phaseOf`. */
  phase(term = this.current) {
    return phaseOf(term);
  }

  /** Returns the title of a term; its id if it has none. */
  title(id) {
    return this.#items.find((term) => term.id === id)?.title || id;
  }

  /** Returns whether a term exists. */
  has(id) {
    return this.#items.some((term) => term.id === id);
  }

  /** Returns whether a term has an opening time. A term that is not known has none. */
  hasOpening(id) {
    return Boolean(this.#items.find((term) => term.id === id)?.opens_at);
  }

  get open() {
    return this.phase() === "open";
  }

  /** Whether a hold on the student blocks registration in the current term. */
  get isHeld() {
    return (this.current?.mine?.holds ?? []).some(({ blocks }) => blocks?.includes("register"));
  }

  tick() {
    this.ontick();
    const phase = this.current && this.phase();
    if (!phase || this.#phase === phase) return;
    this.#phase = phase;
    this.onchange();
  }
}
