// Opening, closing and changing terms.

import { $, button, h, put, SETTLE_MS, table } from "../dom.js";
import { api } from "../api.js";
import { hubNow } from "../hub-clock.js";
import { setZone } from "../i18n.js";
import { moment } from "../words.js";
import { momentOf, wallOf, zoneName } from "./wall.js";

const path = (id) => `/api/v1/terms/${encodeURIComponent(id)}`;
/** A browser's timers reach no further than some weeks. */
const WAIT_MS_MAX = 3_600_000;
const local = (value) => momentOf(value)?.toISOString();

export class TermDesk {
  #items = [];
  #timer = 0;
  #turned = -Infinity;

  /** `onterms()`: a term was changed here. */
  constructor(onterms) {
    this.onterms = onterms;
    $("term-form").addEventListener("submit", (event) => this.#save(event));
  }

  async load() {
    const { items, college } = await api.get("/api/v1/terms");
    if (college?.timezone) setZone(college.timezone);
    put($("zone"), zoneName());
    put($("term-ids"), items.map((term) => h("option", { value: term.id }, term.title)));
    this.#items = items;
    this.#draw();
  }

  #draw() {
    put($("terms"), this.#items.length
      ? table("Only the two times decide whether registration is open.", ["Term", "Registration", "", "Opens", "Closes"], this.#items.map((term) => this.#row(term)))
      : h("p", { class: "none" }, "There is no term yet. Import a schedule, or add a term below."));
    this.#wait();
  }

  /** Draws them anew when the next of them opens or closes. */
  #wait() {
    clearTimeout(this.#timer);
    const coming = this.#items.flatMap(({ opens_at, closes_at }) => [opens_at, closes_at]).map((at) => at ? Date.parse(at) - hubNow() : 0).filter((ms) => ms > 0);
    if (!coming.length) return;
    const ms = Math.min(...coming);
    this.#timer = setTimeout(() => {
      if (ms > WAIT_MS_MAX) return this.#wait();
      this.#turned = performance.now();
      this.#draw();
    }, Math.min(ms, WAIT_MS_MAX));
  }

  #row(term) {
    const now = hubNow();
    const [opens, closes] = [term.opens_at, term.closes_at].map((at) => at ? Date.parse(at) : null);
    const open = opens !== null && opens <= now && (closes === null || now < closes);
    // When it is pressed, which may be long after this was drawn.
    const at = () => new Date(hubNow()).toISOString();
    const answer = h("span", { role: "status" });
    // Just after a term has opened or closed by itself, a press was meant for the button that stood there before.
    const change = (body) => performance.now() - this.#turned > SETTLE_MS && this.#put(term.id, body, answer);
    const press = open
      ? button("Close now", () => change({ closes_at: at() }))
      : button("Open now", () => change({ opens_at: at(), ...(closes !== null && closes <= hubNow() ? { closes_at: null } : {}) }));
    return [h("span", null, h("strong", null, term.title || term.id), h("small", null, ` ${term.id}`)),
      h("span", { class: open ? "good" : "" }, open ? "Open" : opens > now ? "Not open yet" : "Closed"),
      [press, " ", button("Change", () => this.#edit(term), { class: "quiet" }), " ", answer],
      moment(term.opens_at) || "not set", moment(term.closes_at) || "not set"];
  }

  #edit(term) {
    const form = $("term-form");
    form.elements.id.value = term.id;
    form.elements.title.value = term.title ?? "";
    form.elements.opens_at.value = wallOf(term.opens_at);
    form.elements.closes_at.value = wallOf(term.closes_at);
    form.elements.title.focus();
  }

  async #save(event) {
    event.preventDefault();
    const { id, title, opens_at, closes_at } = event.target.elements;
    const body = { title: title.value.trim() || undefined, opens_at: local(opens_at.value), closes_at: local(closes_at.value) };
    await this.#put(id.value.trim(), body, event.target.querySelector("[role=status]"));
  }

  async #put(id, body, answer) {
    put(answer, "Saving…");
    try {
      await api.put(path(id), body);
      put(answer, "Saved.");
      await this.load();
      this.onterms();
    } catch (problem) {
      put(answer, problem.message);
    }
  }
}
