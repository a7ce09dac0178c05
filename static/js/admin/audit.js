// The audit trail: the newest entries first, older ones page by page.

import { $, button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { fromCollegeTime } from "../college-time.js";
import { format, has, t } from "../i18n.js";
import { codedText, wordText } from "../coded-text.js";
import { dateTime, unbrokenZone } from "../words.js";
import { ReadOnOpening } from "./read-on-opening.js";

const PAGE_SIZE = 100;
/** The actions of the audit trail. Each has a text `audit.ACTION`. */
const ACTIONS = [
  "login", "login.failed", "login.ended", "logout", "sign_in.end", "password.change", "password.failed", "totp.add",
  "totp.remove", "totp.failed", "totp.reset", "user.add", "user.change", "user.remove", "user.release",
  "user.erase", "term.change", "section.change", "roster.read", "roster.export", "enrollments.export", "receipts.read", "users.list",
  "sessions.list", "audit.read", "student.search", "student.read", "student.change", "student.registration", "student.permit", "waitlist.position", "attempts.read", "schedule.shared", "guardian_link.make", "guardian_link.end", "schedule_feed.make", "schedule_feed.end", "rehearsal.start", "import.start", "import.students",
  "import.cancel", "import.profile.save", "import.profile.delete", "alert.send", "alert.schedule", "alert.correct", "alert.cancel", "alert.withhold",
  "session.disconnect", "user.sign_out", "plone.sync", "plone.resend", "plone.write", "plone.refused",
  "plone.roster", "demo.start", "demo.sandbox", "demo.share", "demo.withdraw",
];
const actionText = (action) => has(`audit.${action}`) ? t(`audit.${action}`) : action;

export class Audit {
  #requests = 0;
  #isLoading = false;
  /** Whether older entries than those of the first page are shown. */
  #isLong = false;
  #lastDay = "";
  /** A reader of older entries stays there. A link to this view submits the form, which reads the entries. */
  #opening = new ReadOnOpening("#audit", () => this.#isLong || this.#isLoading, () => this.#load());

  constructor() {
    this.form = $("audit-filter");
    put($("audit-actions"), ACTIONS.map((value) => h("option", { value, label: actionText(value) })));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#load(); });
    // The fields are cleared after the event.
    this.form.addEventListener("reset", () => setTimeout(() => this.#load()));
  }

  run(running) {
    if (!running) put($("audit-rows"));
    return this.#opening.run(running);
  }

  /** Loads the first page, or the page at `cursor`. */
  async #load(cursor) {
    const request = ++this.#requests;
    this.#isLoading = true;
    const { user, action, q, since } = this.form.elements;
    if (!cursor) put($("audit-summary"), t("data.loading"));
    try {
      const { items, next } = await api.get(`/api/v1/admin/audit${query({
        user: user.value.trim(), action: actionNames(action.value.trim()), q: q.value.trim(), since: fromCollegeTime(since.value)?.toISOString(),
        limit: PAGE_SIZE, cursor,
      })}`);
      if (request !== this.#requests) return;
      this.#isLong = Boolean(cursor);
      if (!cursor) {
        put($("audit-rows"));
        this.#lastDay = "";
      }
      $("audit-rows").append(...items.flatMap((entry) => this.#rows(entry)));
      const shown = $("audit-rows").querySelectorAll("tr:not(.day)").length;
      $("audit-table").hidden = !shown;
      put($("audit-summary"), t(!shown ? "audit.none" : next ? "audit.newest" : "audit.all", { n: shown }));
      put($("audit-more"), next && button(t("data.more"), () => this.#load(next)));
    } catch (problem) {
      if (request === this.#requests) put($("audit-summary"), problem.message);
    } finally {
      if (request === this.#requests) this.#isLoading = false;
    }
  }

  /** Returns the row of an entry, after a heading row if it is the first of its day. */
  #rows({ at, user, role, ip, action, subject, section, detail, request_id, ...coded }) {
    const date = new Date(at);
    const day = format({ weekday: "long", year: "numeric", month: "long", day: "numeric" }).format(date);
    const time = unbrokenZone(format({ hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(date));
    const targets = [subject !== user && subject, section !== subject && section].filter(Boolean);
    const row = h("tr", null,
      h("td", { title: dateTime(at) }, time),
      h("td", null, h("strong", null, user ?? t("sessions.visitor")), role && h("small", null, t(`role.${role}`))),
      h("td", null, actionText(action), h("small", null, action)),
      h("td", null, targets.map((target) => h("span", { class: "target-id", title: target }, shortId(target)))),
      h("td", { class: "detail" }, details(detail, coded)),
      h("td", { "data-head": t("audit.ip") }, ip ?? ""),
      h("td", { "data-head": t("audit.request"), title: request_id ?? "" }, (request_id ?? "").slice(-8)));
    const isNewDay = day !== this.#lastDay;
    this.#lastDay = day;
    return isNewDay ? [h("tr", { class: "day" }, h("th", { scope: "rowgroup", colspan: 7 }, day)), row] : [row];
  }
}

const wordsOf = (text) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u).filter(Boolean);

/**
 * Returns the hub's names of the actions that were typed: one by its name or its text, else all whose name or text has
 * words that begin with the typed ones.
 */
function actionNames(text) {
  const exact = ACTIONS.find((name) => [name, actionText(name).toLowerCase()].includes(text.toLowerCase()));
  if (exact || !text) return exact ?? text;
  const found = ACTIONS.filter((name) => {
    const words = wordsOf(`${name} ${actionText(name)}`);
    return wordsOf(text).every((typed) => words.some((word) => word.startsWith(typed)));
  });
  return found.join(",") || text;
}

/** Shortens a UUID to its end, which differs between entries of the same time. */
const shortId = (text) => /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(text) ? `…\u2060${text.slice(-8)}` : text;

/** The fields whose values are words of the hub. */
const WORD_FIELDS = new Set(["status", "waitlist", "target"]);

function valueText(name, value) {
  if (value === true || value === false) return t(value ? "value.yes" : "value.no");
  if (typeof value === "object") return JSON.stringify(value);
  if (WORD_FIELDS.has(name) || (value === "none" && name !== "title")) return wordText("detail", value);
  return withTimes(value);
}

const withTimes = (text) => String(text).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, dateTime);
const nameText = (name) => has(`detail.name.${name}`) ? t(`detail.name.${name}`) : name.replaceAll("_", " ");

/** Returns an entry's details: a text with a code, fields with their values, or a name, an id or a free text. */
function details(detail, coded) {
  let fields = coded.code === "fields" ? coded.args : null;
  if (/^\s*\{/.test(detail)) try { fields = JSON.parse(detail); } catch { /* It is text. */ }
  if (!fields) return coded.code ? codedText("detail", coded, detail) : h("span", { dir: "auto" }, withTimes(detail));
  return Object.entries(fields).filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => h("span", { class: "pair" }, h("b", null, nameText(name), ": "), valueText(name, value)));
}
