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
  loaded = false;

  /** `onchange()` is called for another term or another phase of it, `ontick()` each second. */
  constructor(select, { chosen, onchange, ontick = () => {} }) {
    Object.assign(this, { select, onchange, ontick });
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
    const { items, college } = await api.get("/api/v1/terms", { signal });
    this.#items = items;
    this.loaded = true;
    this.college = college;
    if (college?.timezone) setZone(college.timezone);
    if (items[0]?.now) syncClock(items[0].now, sentAt);
    const id = this.current?.id;
    put(this.select, items.map((term) => h("option", { value: term.id, selected: term.id === id }, term.title || term.id)));
    this.#chosen = id;
    this.#phase = "";
    this.tick();
  }

  /** Applies a frame that says that a window opened, such as after staff moved it while the page was open. */
  opened({ term, opens_at, closes_at }) {
    const item = this.#items.find((one) => one.id === term);
    if (!item) return;
    Object.assign(item.mine ?? item, { opens_at, closes_at });
    this.tick();
  }

  /** The chosen term, else the first open one, else the next to open. */
  get current() {
    return currentTerm(this.#items, this.#chosen);
  }

  /** See `windowOf`. */
  window(term) {
    return windowOf(term);
  }

  /**
   * Shows a term whose window changed, from a frame of the live connection. The windows of groups are not part of it, so
   * pages of students read them again, spread over a few seconds.
   */
  changed({ term: { id, title, opens_at, closes_at } }) {
    const term = this.#items.find((one) => one.id === id);
    if (!term) return;
    const { mine } = term;
    if (mine && mine.opens_at === term.opens_at && mine.closes_at === term.closes_at) Object.assign(mine, { opens_at, closes_at });
    Object.assign(term, { title, opens_at, closes_at });
    this.#phase = "";
    this.tick();
    if (mine) setTimeout(() => this.load().catch(() => {}), Math.random() * SPREAD_MS);
  }

  /** See `phaseOf`. */
  phase(term = this.current) {
    return phaseOf(term);
  }

  /** The title of a term; its id if it has none. */
  title(id) {
    return this.#items.find((term) => term.id === id)?.title || id;
  }

  get open() {
    return this.phase() === "open";
  }

  tick() {
    this.ontick();
    const phase = this.current && this.phase();
    if (!phase || this.#phase === phase) return;
    this.#phase = phase;
    this.onchange();
  }
}
