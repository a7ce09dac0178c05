// The "Terms" view: opening, closing, adding and editing terms.

import { $, button, h, markInvalid, put, SETTLE_MS, table } from "../dom.js";
import { api } from "../api.js";
import { fromCollegeTime, toCollegeTime, zoneName } from "../college-time.js";
import { hubNow } from "../hub-clock.js";
import { setZone, t } from "../i18n.js";
import { dateTime } from "../words.js";

const path = (id) => `/api/v1/terms/${encodeURIComponent(id)}`;
/** Browser timers are limited to about 24 days, so a longer wait is divided. */
const TIMER_MS_MAX = 3_600_000;
/** The closing times that Close now replaced in this browser, by term. */
const CLOSING_KEY = "eduhub.closing";
const isoTime = (value) => fromCollegeTime(value)?.toISOString();
/** Minutes to two decimals, so that whole seconds survive the way to the form and back. */
const toMinutes = (seconds) => seconds ? String(Math.round(seconds / 60 * 100) / 100) : "";
const toSeconds = (minutes) => minutes ? Math.round(Number(minutes) * 60) : undefined;

export class TermEditor {
  #terms = [];
  #timer = 0;
  /** The term whose values the form was filled with. */
  #edited = "";
  /** When a term last opened or closed on its own, by `performance.now()`. */
  #switchedAt = -Infinity;

  /** `onchange()` is called after a term was saved. */
  constructor(onchange) {
    this.onchange = onchange;
    $("term-form").addEventListener("submit", (event) => this.#submit(event));
    for (const type of ["input", "reset"]) $("term-form").addEventListener(type, () => this.#drawPast());
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
      ? table(t("terms.caption"), [t("find.term"), t("terms.registration"), "", t("terms.head.opens"), t("terms.head.closes")],
        this.#terms.map((term) => this.#row(term)))
      : h("p", { class: "none" }, t("terms.none")));
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
    const cell = h("span");
    const name = term.title || term.id;
    // The time of the press, which may be long after this row was drawn.
    const pressedAt = () => new Date(hubNow()).toISOString();
    // When a term opens or closes on its own, its button changes. A press just afterwards was meant for the old button.
    const settled = () => performance.now() - this.#switchedAt > SETTLE_MS;
    const action = open ? button(t("terms.close"), () => settled() && this.#confirm(cell, {
      text: `${term.closes_at ? t("terms.close.instead", { term: name, at: dateTime(term.closes_at) }) : t("terms.close.text", { term: name })} ${t("terms.close.keep")}`,
      label: t("terms.close.yes"),
      act: () => {
        remember(term.id, term.closes_at);
        this.#save(term.id, { closes_at: pressedAt() }, status);
      },
    })) : button(t("terms.open"), () => {
      if (!settled()) return;
      const before = remembered()[term.id];
      // A closing time that has passed would keep the term closed.
      const restored = Date.parse(before) > hubNow() ? before : null;
      const isPast = closes !== null && closes <= hubNow();
      const end = isPast ? restored : term.closes_at;
      this.#confirm(cell, {
        text: `${opens > hubNow() ? t("terms.open.instead", { term: name, at: dateTime(term.opens_at) }) : t("terms.open.text", { term: name })} ${end ? t("terms.open.until", { at: dateTime(end) }) : t("terms.open.no_end")}`,
        label: t("terms.open.yes"),
        act: () => this.#save(term.id, { opens_at: pressedAt(), ...(isPast ? { closes_at: restored } : {}) }, status),
      });
    });
    put(cell, action, " ", button(t("terms.edit"), () => this.#edit(term), { class: "quiet" }));
    return [h("span", null, h("strong", { dir: "auto" }, term.title || term.id), h("small", null, ` ${term.id}`)),
      h("span", { class: open ? "good" : "" }, t(open ? "terms.state.open" : opens > now ? "terms.state.soon" : "terms.state.closed")),
      [cell, " ", status],
      dateTime(term.opens_at) || t("terms.unset"), dateTime(term.closes_at) || t("terms.unset")];
  }

  /** Says in place what a press will do. A second press does it. */
  #confirm(cell, { text, label, act }) {
    const before = [...cell.childNodes];
    const confirm = button(label, () => { put(cell, before); act(); }, { class: "primary", disabled: true });
    setTimeout(() => { confirm.disabled = false; }, SETTLE_MS);
    const back = button(t("sent.cancel"), () => { put(cell, before); before[0].focus(); }, { class: "quiet" });
    const question = h("span", { class: "question", tabindex: "-1" }, text);
    put(cell, question, " ", confirm, " ", back);
    question.focus();
  }

  /** Says that an opening time in the past opens registration at once. */
  #drawPast() {
    const opens = fromCollegeTime($("term-form").elements.opens_at.value);
    const text = opens && opens.getTime() <= hubNow() ? t("terms.past") : "";
    if ($("past-opening").textContent !== text) put($("past-opening"), text);
  }

  #edit(term) {
    const { id, title, opens_at, closes_at, waitlist, offer_s, offer_first_day_s, waitlist_priority } = $("term-form").elements;
    this.#edited = id.value = term.id;
    waitlist_priority.value = (term.waitlist_priority ?? []).join(", ");
    waitlist.value = term.waitlist ?? (term.offer_s || term.offer_first_day_s ? "" : "college");
    offer_s.value = toMinutes(term.offer_s);
    offer_first_day_s.value = toMinutes(term.offer_first_day_s);
    title.value = term.title ?? "";
    opens_at.value = toCollegeTime(term.opens_at);
    closes_at.value = toCollegeTime(term.closes_at);
    this.#drawPast();
    title.focus();
  }

  async #submit(event) {
    event.preventDefault();
    const { id, title, opens_at, closes_at, waitlist, offer_s, offer_first_day_s, waitlist_priority } = event.target.elements;
    // The college's settings apply: the mode and the times.
    const offers = waitlist.value === "college" ? { waitlist: null, offer_s: null, offer_first_day_s: null }
      : { waitlist: waitlist.value || undefined, offer_s: toSeconds(offer_s.value), offer_first_day_s: toSeconds(offer_first_day_s.value) };
    const groups = waitlist_priority.value.split(",").map((group) => group.trim()).filter(Boolean);
    // A blank field removes the groups only if it showed them before.
    const priority = groups.length || id.value.trim() === this.#edited ? groups : undefined;
    const body = { title: title.value.trim() || undefined, opens_at: isoTime(opens_at.value), closes_at: isoTime(closes_at.value), waitlist_priority: priority, ...offers };
    await this.#save(id.value.trim(), body, event.target.querySelector("span[role=status]"));
  }

  async #save(id, body, status) {
    const isForm = $("term-form").contains(status);
    put(status, t("save.pending"));
    try {
      await api.put(path(id), body);
    } catch (problem) {
      put(status, problem.message);
      const wrong = isForm && $("term-form").elements[problem.field];
      if (wrong) markInvalid(wrong, status);
      return;
    }
    // Loading the terms replaces the row with its status. The form says "Saved" once Edit starts from the saved term.
    if (!isForm) put(status, t("save.done"));
    await this.load().catch(() => { /* The terms are loaded again after the next change. */ });
    if (isForm) put(status, t("save.done"));
    this.onchange();
  }
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(CLOSING_KEY)) ?? {};
  } catch {
    return {};
  }
}

/** Remembers the closing time that Close now replaces, so that Open now can restore it. */
function remember(id, closesAt) {
  try { localStorage.setItem(CLOSING_KEY, JSON.stringify({ ...remembered(), [id]: closesAt ?? undefined })); } catch { /* Storage is unavailable. */ }
}
