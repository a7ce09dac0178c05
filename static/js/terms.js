// Terms: which one is looked at, whether it is open, and the time by the hub's clock.

import { h, put } from "./dom.js";
import { api } from "./api.js";
import { heard, hubNow } from "./hub-clock.js";
import { setZone } from "./i18n.js";

const TERM_KEY = "eduhub.term";
/** While a term is not open, how often the page looks whether its time has changed; drawn at random around it. */
const LOOK_MS = 45_000;

export class Terms {
  #items = [];
  #phase = "";
  #chosen;
  loaded = false;

  /** `onchange()`: another term, or another phase of it; `ontick()`: each second. */
  constructor(select, { chosen, onchange, ontick = () => {} }) {
    Object.assign(this, { select, onchange, ontick });
    this.#chosen = chosen ?? remembered();
    select.addEventListener("change", () => {
      this.#chosen = select.value;
      try { localStorage.setItem(TERM_KEY, select.value); } catch { /* Not kept. */ }
      this.#phase = "";
      this.tick();
    });
    const beat = () => {
      this.tick();
      // On the hub's full second: the button comes when the countdown says so.
      setTimeout(beat, 1000 - hubNow() % 1000);
    };
    beat();
    this.#look();
  }

  /** Reads the terms anew. */
  async load() {
    const asked = Date.now();
    const { items, college } = await api.get("/api/v1/terms");
    this.#items = items;
    this.loaded = true;
    this.college = college;
    if (college?.timezone) setZone(college.timezone);
    if (items[0]?.now) heard(items[0].now, asked);
    const id = this.current?.id;
    put(this.select, items.map((term) => h("option", { value: term.id, selected: term.id === id }, term.title || term.id)));
    this.#chosen = id;
    this.#phase = "";
    this.tick();
  }

  /** The chosen one, or the first that is open, or the next that opens. */
  get current() {
    const by = (phase) => this.#items.filter((term) => this.phase(term) === phase);
    const soon = by("soon").sort((a, b) => Date.parse(this.window(a).opens) - Date.parse(this.window(b).opens));
    return this.#items.find((term) => term.id === this.#chosen) ?? by("open")[0] ?? soon[0] ?? this.#items[0];
  }

  /** When registration opens and closes for whoever looks. */
  window(term) {
    return { opens: term.mine?.opens_at ?? term.opens_at, closes: term.mine?.closes_at ?? term.closes_at };
  }

  /** `unset`, `soon`, `open` or `over`. */
  phase(term = this.current) {
    const { opens, closes } = term ? this.window(term) : {};
    if (!opens) return "unset";
    if (hubNow() < Date.parse(opens)) return closes && Date.parse(closes) <= Date.parse(opens) ? "over" : "soon";
    return closes && hubNow() >= Date.parse(closes) ? "over" : "open";
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

  #look() {
    setTimeout(async () => {
      if (this.loaded && !this.open && !document.hidden) try { await this.load(); } catch { /* Next time. */ }
      this.#look();
    }, LOOK_MS * (0.7 + 0.6 * Math.random()));
  }
}

function remembered() {
  try { return localStorage.getItem(TERM_KEY) ?? undefined; } catch { return undefined; }
}
