// Histories of attempts: of a student, and of a section beside its roster.

import { button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { attemptItem, exactTime } from "../attempt-text.js";
import { t } from "../i18n.js";
import { ordinal, problemText } from "../words.js";

const PAGE = 20;
/** Number of attempts that are read at a time to explain one, and how many times at most. */
const READ = 1000;
const READS_MAX = 5;

const ofSection = (id) => `/api/v1/sections/${encodeURIComponent(id)}/attempts`;

/** Shows pages of attempts at `path`, newest first. `line(one)` returns the item of one. */
export class AttemptList {
  constructor(path, params, line) {
    Object.assign(this, { path, params, line });
    this.list = h("ul", { class: "lines", role: "list" });
    this.status = h("p", { role: "status" });
    this.el = h("div", null, this.list, this.status);
  }

  /** Reads the newest page again, or the one after `cursor`. */
  async load(cursor) {
    const request = this.request = {};
    try {
      const { items, next } = await api.get(`${this.path}${query({ ...this.params, limit: PAGE, cursor })}`);
      if (request !== this.request) return;
      const found = items.map(this.line);
      if (cursor) this.list.append(...found);
      else put(this.list, found);
      put(this.status, !this.list.children.length && t("attempts.none"), next && button(t("attempts.more"), () => this.load(next), { class: "quiet" }));
    } catch (problem) {
      if (request === this.request) put(this.status, problemText(problem), " ", button(t("find.retry"), () => this.load(cursor), { class: "plain" }));
    }
  }
}

/** Returns the history of a section. It is read when it is opened: each read is recorded as a disclosure. */
export function sectionHistory(id, name) {
  const attempts = new AttemptList(ofSection(id), {}, (one) => attemptItem(one, one.user));
  const ontoggle = ({ currentTarget }) => currentTarget.open && attempts.load();
  return h("details", { class: "history", ontoggle }, h("summary", { "aria-label": t("student.history.of", { name }) }, t("attempts.title.section")), attempts.el);
}

/**
 * Returns the history of a student in a term. Beside a request that got no seat because the section was full, a button
 * explains it by the history of the section.
 */
export function studentHistory(path, term, page) {
  return new AttemptList(path, { term }, (one) => {
    const isSeats = ["section_full", "waitlist_full", "waitlisted"].includes(one.result) && one.action === "register" && !one.repeated && page.mayEdit(one.section);
    const explanation = h("span", { role: "status" });
    const why = isSeats && h("div", null, button(t("student.explain"), () => explain(one, explanation), { class: "plain" }), " ", explanation);
    return attemptItem(one, page.nameOf(one.section), why);
  });
}

/** Shows how many students requested the section before, and when the last seat was taken. */
async function explain(one, el) {
  put(el, t("student.explain.pending"));
  try {
    const { before, complete, last } = await earlier(one);
    const texts = [complete && t("student.explain.nth", { nth: ordinal(before + 1) }), last ? t("student.explain.last", { at: exactTime(last.decided_at) }) : t("student.explain.unknown")];
    put(el, texts.filter(Boolean).join(" "));
  } catch (problem) {
    put(el, problemText(problem));
  }
}

/**
 * Reads the attempts in a section before `one`: the students who had requested it, and the request that took the last
 * seat.
 */
async function earlier({ section, n, user }) {
  const students = new Set();
  let [cursor, last] = [n, null];
  for (let reads = 0; cursor && reads < READS_MAX; reads += 1) {
    const { items, next } = await api.get(`${ofSection(section)}${query({ cursor, limit: READ })}`);
    for (const one of items) {
      if (one.action === "register" && one.user !== user) students.add(one.user);
      // The request that found one open seat took the last one; a promotion takes a seat that was never open.
      if (!last && one.result === "enrolled" && !one.repeated && (one.open === 1 || one.by === "promotion")) last = one;
    }
    cursor = next;
  }
  return { before: students.size, complete: !cursor, last };
}
