// The "Now" view: totals, the most requested sections, refusals by reason, and the seat map.

import { $, button, h, put } from "../dom.js";
import { api } from "../api.js";
import { Poller } from "../poll.js";
import { drawSeats } from "../seat-cell.js";
import { has, number, t } from "../i18n.js";
import { problemText } from "../words.js";
import { fillLevel, SeatMap } from "./seat-map.js";

/** Seat changes older than this are not counted. */
const RECENT_MS = 60_000;
/** How often the activity is read from the hub. */
const ACTIVITY_MS = 5_000;
/** How often the totals and the list are drawn. */
const DRAW_MS = 1_000;
/** Length of the list of most requested sections. */
const HOTTEST_MAX = 10;
/** Seat changes kept in memory. */
const CHANGES_MAX = 20_000;

/** In the one-column layout the map is below the lists, so a growing list would move it under the pointer. */
const oneColumn = matchMedia("(max-width: 68.69em)");
const pointsAtMap = () => oneColumn.matches && $("map").matches(":hover");

export class Overview {
  /** Recent seat changes: `{id, by, at}`. */
  #changes = [];
  #activity = null;
  #since = Date.now();
  /** How many requests each section refused in the last minute because it or its waitlist was full, by section id. */
  refused = new Map();
  #poller = new Poller((signal) => this.#readActivity(signal), {
    ms: ACTIVITY_MS,
    onerror: (problem) => put($("activity-failed"), t("now.failed", { why: problemText(problem) })),
  });

  /** `page`: `{catalogue, numbers(id), show(id)}`. */
  constructor(page) {
    this.page = page;
    this.map = new SeatMap(page);
    setInterval(() => this.#draw(), DRAW_MS);
  }

  /** Starts when a staff user has signed in; stops otherwise. */
  run(running) {
    if (running) this.#poller.start();
    else this.#poller.stop();
  }

  /** Builds the view from the sections of the catalogue. */
  build() {
    this.map.build();
    this.map.updateLabels();
    this.#draw();
  }

  /** Forgets the activity of the term that was shown before. */
  reset() {
    this.#changes = [];
    this.#activity = null;
    this.#since = Date.now();
    this.refused = new Map();
    this.map.setRefused(this.refused);
  }

  /** Records seat changes: `[id, by]`, where `by` is the difference in enrolled students. */
  recordChanges(changes) {
    const at = Date.now();
    for (const [id, by] of changes) if (by) this.#changes.push({ id, by, at });
    if (this.#changes.length > CHANGES_MAX) this.#changes.splice(0, CHANGES_MAX / 2);
  }

  redraw(ids) {
    this.map.redraw(ids);
  }

  /** Reads requests and refusals, which only the hub can count. */
  async #readActivity(signal) {
    this.#activity = await api.get("/api/v1/staff/activity", { signal });
    put($("activity-failed"));
    this.refused = new Map(this.#activity.turned_away.map((one) => [one.section, one.refused]));
    this.map.setRefused(this.refused);
    this.map.updateLabels();
    $("refused-key").hidden = !this.refused.size;
    this.#drawRefusals();
    this.#drawHottest();
  }

  #drawRefusals() {
    if (pointsAtMap()) return;
    const { refusals: minute, hour } = this.#activity;
    const codes = Object.entries(hour.refusals).sort((a, b) => (minute[b[0]] ?? 0) - (minute[a[0]] ?? 0) || b[1] - a[1]);
    $("refusals").hidden = !codes.length;
    $("no-refusals").hidden = codes.length > 0;
    put($("refusal-list"), codes.map(([code, n]) => h("tr", null, h("th", { scope: "row" }, has(`reason.${code}`) ? t(`reason.${code}`) : code),
      h("td", null, number(minute[code] ?? 0)), h("td", null, number(n)))));
  }

  #draw() {
    if (document.hidden || $("desk").hidden) return;
    const oldest = Date.now() - RECENT_MS;
    this.#changes = this.#changes.filter(({ at }) => at > oldest);
    const totals = this.#totals();
    const key = JSON.stringify(totals);
    if ($("totals").dataset.key !== key) {
      $("totals").dataset.key = key;
      put($("totals"), totals.map(([label, n]) => h("div", null, h("dt", null, label), h("dd", null, number(n)))));
    }
    this.#drawHottest();
  }

  /** Returns the totals of the term: `[label, number]`. */
  #totals() {
    const { catalogue } = this.page;
    const sums = { full: 0, few: 0, left: 0, taken: 0, waiting: 0 };
    for (const id of catalogue.all) {
      const numbers = this.page.numbers(id);
      sums.left += Math.max(0, numbers.open);
      sums.taken += numbers.enrolled;
      sums.waiting += numbers.waitlisted;
      const level = fillLevel(numbers, catalogue.get(id).status);
      if (level === 5) sums.full += 1;
      if (level === 4) sums.few += 1;
    }
    const recent = this.#changes.filter(({ by }) => by > 0).reduce((sum, { by }) => sum + by, 0);
    const recentLabel = Date.now() - this.#since < RECENT_MS ? t("now.taken.since") : t("now.taken.minute");
    return [
      [t("view.sections"), catalogue.all.length], [t("sections.full"), sums.full], [t("sections.few"), sums.few], [t("now.taken"), sums.taken],
      [t("now.left"), sums.left], [t("now.waiting"), sums.waiting], [recentLabel, recent],
    ];
  }

  /**
   * Returns the most requested sections of this term, `{period, list}`: by the hub's count of the last minute, else of
   * the last hour, else by the changes that this page has seen.
   */
  #hottest() {
    const isOurs = (id) => this.page.catalogue.get(id);
    for (const [list, period] of [[this.#activity?.hottest, "minute"], [this.#activity?.hour.hottest, "hour"]]) {
      const ours = list?.filter((one) => isOurs(one.section)).slice(0, HOTTEST_MAX) ?? [];
      if (ours.length) return { period, list: ours.map((one) => ({ id: one.section, text: activityText(one) })) };
    }
    const changes = new Map();
    for (const { id, by } of this.#changes) changes.set(id, (changes.get(id) ?? 0) + Math.abs(by));
    const list = [...changes].sort((a, b) => b[1] - a[1]).slice(0, HOTTEST_MAX).filter(([id]) => isOurs(id))
      .map(([id, n]) => ({ id, text: t("n.changes", { n }) }));
    return { period: "minute", list };
  }

  #drawHottest() {
    const { period, list } = this.#hottest();
    const rows = () => [...$("hottest").children];
    // While the user points at or focuses a row, no row moves: only the numbers are updated.
    if (pointsAtMap() || (rows().length && $("hottest").matches(":hover, :focus-within"))) {
      return this.#drawRows(rows().map((el) => ({ id: el.dataset.id, text: list.find(({ id }) => id === el.dataset.id)?.text })));
    }
    $("no-hottest").hidden = list.length > 0;
    const title = t(`now.hottest.${period}`);
    if ($("hottest-title").textContent !== title) put($("hottest-title"), title);
    const existing = new Map(rows().map((el) => [el.dataset.id, el]));
    const next = list.map(({ id }) => existing.get(id) ?? h("li", { "data-id": id },
      button(this.page.catalogue.name(id), () => this.page.show(id), { class: "plain" }), h("small"), h("div", { class: "seats" })));
    for (const el of existing.values()) if (!next.includes(el)) el.remove();
    next.forEach((el, i) => $("hottest").children[i] !== el && $("hottest").insertBefore(el, $("hottest").children[i] ?? null));
    this.#drawRows(list);
  }

  #drawRows(list) {
    list.forEach(({ id, text }, i) => {
      const [, details, seats] = $("hottest").children[i].children;
      if (text && details.textContent !== text) put(details, text);
      const section = this.page.catalogue.get(id);
      if (section) drawSeats(seats, { id, ...this.page.numbers(id) }, section.status);
    });
  }
}

/** Returns a section's activity as text: `637 attempts, 40 enrolled, 12 waiting, 585 refused`. */
function activityText({ asked, enrolled, waitlisted, refused }) {
  return [
    t("n.attempts", { n: asked }), t("n.enrolled", { n: enrolled }), waitlisted && t("n.waiting", { n: waitlisted }),
    refused && t("n.refused", { n: refused }),
  ].filter(Boolean).join(", ");
}
