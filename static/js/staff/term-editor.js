// The "Terms" view: opening, closing, adding and editing terms.

import { $, button, h, put, SETTLE_MS, table } from "../dom.js";
import { api } from "../api.js";
import { fromCollegeTime, toCollegeTime, zoneName } from "../college-time.js";
import { hubNow } from "../hub-clock.js";
import { setZone } from "../i18n.js";
import { dateTime } from "../words.js";

const path = (id) => `/api/v1/terms/${encodeURIComponent(id)}`;
/** Browser timers are limited to about 24 days, so a longer wait is divided. */
const TIMER_MS_MAX = 3_600_000;
const isoTime = (value) => fromCollegeTime(value)?.toISOString();

export class TermEditor {
  #terms = [];
  #timer = 0;
  /** When a term last opened or closed on its own, by `performance.now()`. */
  #switchedAt = -Infinity;

  /** `onchange()` is called after a term was saved. */
  constructor(onchange) {
    this.onchange = onchange;
    $("term-form").addEventListener("submit", (event) => this.#submit(event));
  }

  async load() {
    const { items, college } = await api.get("/api/v1/terms");
    if (college?.timezone) setZone(college.timezone);
    put($("zone"), zoneName());
    put($("term-ids"), items.map((term) => h("option", { value: term.id }, term.title)));
    this.#terms = items;
    this.#draw();
  }

  #draw() {
    put($("terms"), this.#terms.length
      ? table("Registration opens and closes automatically at these times.", ["Term", "Registration", "", "Opens", "Closes"],
        this.#terms.map((term) => this.#row(term)))
      : h("p", { class: "none" }, "No terms yet. Import a schedule or add a term below."));
    this.#scheduleDraw();
  }

  /** Draws the terms again when the next of them opens or closes. */
  #scheduleDraw() {
    clearTimeout(this.#timer);
    const waits = this.#terms.flatMap(({ opens_at, closes_at }) => [opens_at, closes_at])
      .map((at) => at ? Date.parse(at) - hubNow() : 0).filter((ms) => ms > 0);
    if (!waits.length) return;
    const ms = Math.min(...waits);
    this.#timer = setTimeout(() => {
      if (ms > TIMER_MS_MAX) return this.#scheduleDraw();
      this.#switchedAt = performance.now();
      this.#draw();
    }, Math.min(ms, TIMER_MS_MAX));
  }

  #row(term) {
    const now = hubNow();
    const [opens, closes] = [term.opens_at, term.closes_at].map((at) => at ? Date.parse(at) : null);
    const open = opens !== null && opens <= now && (closes === null || now < closes);
    const status = h("span", { role: "status" });
    // The time of the press, which may be long after this row was drawn.
    const pressedAt = () => new Date(hubNow()).toISOString();
    // When a term opens or closes on its own, its button changes. A press just afterwards was meant for the old button.
    const change = (body) => performance.now() - this.#switchedAt > SETTLE_MS && this.#save(term.id, body, status);
    const action = open
      ? button("Close now", () => change({ closes_at: pressedAt() }))
      : button("Open now", () => change({ opens_at: pressedAt(), ...(closes !== null && closes <= hubNow() ? { closes_at: null } : {}) }));
    return [h("span", null, h("strong", null, term.title || term.id), h("small", null, ` ${term.id}`)),
      h("span", { class: open ? "good" : "" }, open ? "Open" : opens > now ? "Not open yet" : "Closed"),
      [action, " ", button("Edit", () => this.#edit(term), { class: "quiet" }), " ", status],
      dateTime(term.opens_at) || "Not set", dateTime(term.closes_at) || "Not set"];
  }

  #edit(term) {
    const { id, title, opens_at, closes_at } = $("term-form").elements;
    id.value = term.id;
    title.value = term.title ?? "";
    opens_at.value = toCollegeTime(term.opens_at);
    closes_at.value = toCollegeTime(term.closes_at);
    title.focus();
  }

  async #submit(event) {
    event.preventDefault();
    const { id, title, opens_at, closes_at } = event.target.elements;
    const body = { title: title.value.trim() || undefined, opens_at: isoTime(opens_at.value), closes_at: isoTime(closes_at.value) };
    await this.#save(id.value.trim(), body, event.target.querySelector("[role=status]"));
  }

  async #save(id, body, status) {
    put(status, "Saving…");
    try {
      await api.put(path(id), body);
      put(status, "Saved.");
      await this.load();
      this.onchange();
    } catch (problem) {
      put(status, problem.message);
    }
  }
}
