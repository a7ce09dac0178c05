// What was done, by whom: the newest page first, older ones on asking.

import { $, button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { format, t } from "../i18n.js";
import { count, moment } from "../words.js";

const PAGE = 100;
/** What the hub writes down: the name by which it is searched for, and what it says. */
const ACTIONS = {
  "login": "Signed in", "login.failed": "Was not let in", "login.ended": "Sign-in ended by Plone", "logout": "Signed out",
  "user.add": "Added an account", "user.change": "Changed an account", "user.remove": "Removed an account",
  "term.change": "Changed a term", "section.change": "Changed a section", "import.start": "Started an import", "import.cancel": "Cancelled an import",
  "alert.send": "Sent an alert", "alert.schedule": "Scheduled an alert", "alert.cancel": "Took an alert down",
  "session.disconnect": "Disconnected somebody", "plone.sync": "Pulled from Plone", "plone.resend": "Sent to Plone again", "plone.roster": "Rosters in Plone",
  "demo.start": "Ran the demonstration", "demo.sandbox": "Opened a sandbox",
};

export class Audit {
  #asked = 0;
  #before = "";

  constructor() {
    this.form = $("audit-filter");
    put($("audit-actions"), Object.entries(ACTIONS).map(([value, label]) => h("option", { value, label })));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#show(); });
    this.form.addEventListener("reset", () => setTimeout(() => this.#show()));
  }

  run(running) {
    if (running) return this.#show();
    put($("audit-rows"));
  }

  async #show(cursor) {
    const asked = ++this.#asked;
    const { user, action, since } = this.form.elements;
    if (!cursor) put($("audit-found"), "Reading…");
    try {
      const at = since.value ? zoned(since.value) : undefined;
      const { items, next } = await api.get(`/api/v1/admin/audit${query({ user: user.value.trim(), action: known(action.value.trim()), since: at, limit: PAGE, cursor })}`);
      if (asked !== this.#asked) return;
      if (!cursor) {
        put($("audit-rows"));
        this.#before = "";
      }
      $("audit-rows").append(...items.flatMap((entry) => this.#row(entry)));
      const shown = $("audit-rows").querySelectorAll("tr:not(.day)").length;
      $("audit-table").hidden = !shown;
      put($("audit-found"), shown ? `${next ? "The newest " : ""}${count(shown, "entry", "entries")}${next ? "; there are more" : ""}.` : "Nothing fits. Take something of the search away.");
      put($("audit-more"), next && button("Show more", () => this.#show(next)));
    } catch (problem) {
      if (asked === this.#asked) put($("audit-found"), problem.message);
    }
  }

  /** A row, with the day above it where another one begins. */
  #row({ at, user, role, ip, action, subject, section, detail, request_id }) {
    const date = new Date(at);
    const day = format({ weekday: "long", year: "numeric", month: "long", day: "numeric" }).format(date);
    const time = format({ hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(date);
    const row = h("tr", null,
      h("td", { title: moment(at) }, time),
      h("td", null, h("strong", null, user ?? "A visitor"), role && h("small", null, t(`role.${role}`))),
      h("td", null, ACTIONS[action] ?? action, h("small", null, action)),
      h("td", null, [subject && subject !== user && subject, section && section !== subject && section].filter(Boolean).map((one) => h("span", { class: "long", title: one }, shortened(one)))),
      h("td", { class: "detail" }, details(detail)),
      h("td", { "data-head": "Address" }, ip ?? ""),
      h("td", { "data-head": "Request", title: request_id ?? "" }, (request_id ?? "").slice(-8)));
    const begins = day !== this.#before;
    this.#before = day;
    return begins ? [h("tr", { class: "day" }, h("th", { scope: "rowgroup", colspan: 7 }, day)), row] : [row];
  }
}

/** What a clock of the college shows, as the moment it is: the rows are told by that clock, too. */
function zoned(wall) {
  const meant = Date.parse(`${wall}Z`);
  const shown = (ms) => {
    const parts = format({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).formatToParts(ms);
    const of = (type) => parts.find((part) => part.type === type).value;
    return Date.parse(`${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}Z`);
  };
  // Twice: the first guess may lie on the other side of a change of the clocks.
  const guess = meant - (shown(meant) - meant);
  return new Date(guess - (shown(guess) - meant)).toISOString();
}

/** An action, by the name that the hub knows or by what it says here. */
function known(text) {
  return Object.keys(ACTIONS).find((name) => ACTIONS[name].toLowerCase() === text.toLowerCase()) ?? text;
}

/** A long machine's name by its end, where it differs from others; the whole is in the title. */
const shortened = (text) => /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(text) ? `…\u2060${text.slice(-8)}` : text;

/** What the hub adds: a sentence, or names and values, which are written as such. */
function details(detail) {
  let fields = detail;
  if (typeof detail === "string" && /^\s*\{/.test(detail)) try { fields = JSON.parse(detail); } catch { /* Words after all. */ }
  if (!fields) return "";
  if (typeof fields !== "object") return String(fields).replace(/\b[a-z]+_[a-z_]+(?=: )/g, (name) => name.replaceAll("_", " ")).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, moment);
  return Object.entries(fields).filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => h("span", { class: "pair" }, h("b", null, `${name.replaceAll("_", " ")}: `), typeof value === "object" ? JSON.stringify(value) : value === true ? "yes" : value === false ? "no" : String(value)));
}
