// The audit trail: the newest entries first, older ones page by page.

import { $, button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { fromCollegeTime } from "../college-time.js";
import { format, t } from "../i18n.js";
import { count, dateTime } from "../words.js";

const PAGE_SIZE = 100;
/** The hub's action names, and their texts on this page. */
const ACTIONS = {
  "login": "Signed in", "login.failed": "Sign-in failed", "login.ended": "Sign-in ended by Plone or a provider", "logout": "Signed out",
  "sign_in.end": "Ended a sign-in", "password.change": "Changed the password", "password.failed": "Password change failed",
  "totp.add": "Added a second factor", "totp.remove": "Removed the second factor", "totp.failed": "Incorrect one-time code", "totp.reset": "Reset a second factor",
  "user.add": "Added an account", "user.change": "Changed an account", "user.remove": "Removed an account",
  "user.release": "Released a username", "user.erase": "Erased a user",
  "term.change": "Changed a term", "section.change": "Changed a section",
  "roster.read": "Viewed a roster", "roster.export": "Downloaded a roster", "receipts.read": "Viewed who confirmed an alert",
  "users.list": "Viewed users", "sessions.list": "Viewed sessions", "audit.read": "Viewed the audit trail",
  "student.read": "Viewed a student record", "student.change": "Changed a student record", "attempts.read": "Viewed a registration history",
  "schedule.shared": "Viewed a shared schedule", "guardian_link.make": "Created a schedule link", "guardian_link.end": "Removed a schedule link",
  "import.start": "Started an import", "import.cancel": "Cancelled an import",
  "import.profile.save": "Saved an import profile", "import.profile.delete": "Deleted an import profile",
  "alert.send": "Sent an alert", "alert.schedule": "Scheduled an alert", "alert.cancel": "Withdrew an alert",
  "session.disconnect": "Disconnected a session", "user.sign_out": "Signed a user out everywhere", "plone.sync": "Pulled from Plone", "plone.resend": "Resent to Plone",
  "plone.write": "Wrote to Plone", "plone.refused": "Change to Plone's administration refused", "plone.roster": "Withheld names from Plone", "demo.start": "Started the demonstration", "demo.sandbox": "Opened a sandbox",
};

export class Audit {
  #requests = 0;
  #lastDay = "";

  constructor() {
    this.form = $("audit-filter");
    put($("audit-actions"), Object.entries(ACTIONS).map(([value, label]) => h("option", { value, label })));
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#load(); });
    // The fields are cleared after the event.
    this.form.addEventListener("reset", () => setTimeout(() => this.#load()));
  }

  run(running) {
    if (running) return this.#load();
    put($("audit-rows"));
  }

  /** Loads the first page, or the page at `cursor`. */
  async #load(cursor) {
    const request = ++this.#requests;
    const { user, action, since } = this.form.elements;
    if (!cursor) put($("audit-summary"), "Loading…");
    try {
      const { items, next } = await api.get(`/api/v1/admin/audit${query({
        user: user.value.trim(), action: actionName(action.value.trim()), since: fromCollegeTime(since.value)?.toISOString(),
        limit: PAGE_SIZE, cursor,
      })}`);
      if (request !== this.#requests) return;
      if (!cursor) {
        put($("audit-rows"));
        this.#lastDay = "";
      }
      $("audit-rows").append(...items.flatMap((entry) => this.#rows(entry)));
      const shown = $("audit-rows").querySelectorAll("tr:not(.day)").length;
      $("audit-table").hidden = !shown;
      const entries = count(shown, "entry", "entries");
      put($("audit-summary"), !shown ? "No entries match. Remove a filter." : next ? `The newest ${entries}; more are available.` : `${entries}.`);
      put($("audit-more"), next && button("Show more", () => this.#load(next)));
    } catch (problem) {
      if (request === this.#requests) put($("audit-summary"), problem.message);
    }
  }

  /** Returns the row of an entry, after a heading row if it is the first of its day. */
  #rows({ at, user, role, ip, action, subject, section, detail, request_id }) {
    const date = new Date(at);
    const day = format({ weekday: "long", year: "numeric", month: "long", day: "numeric" }).format(date);
    const time = format({ hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(date);
    const targets = [subject !== user && subject, section !== subject && section].filter(Boolean);
    const row = h("tr", null,
      h("td", { title: dateTime(at) }, time),
      h("td", null, h("strong", null, user ?? "Visitor"), role && h("small", null, t(`role.${role}`))),
      h("td", null, ACTIONS[action] ?? action, h("small", null, action)),
      h("td", null, targets.map((target) => h("span", { class: "target-id", title: target }, shortId(target)))),
      h("td", { class: "detail" }, details(detail)),
      h("td", { "data-head": "IP address" }, ip ?? ""),
      h("td", { "data-head": "Request", title: request_id ?? "" }, (request_id ?? "").slice(-8)));
    const isNewDay = day !== this.#lastDay;
    this.#lastDay = day;
    return isNewDay ? [h("tr", { class: "day" }, h("th", { scope: "rowgroup", colspan: 7 }, day)), row] : [row];
  }
}

/** Returns the hub's name of an action that was typed as its text. */
const actionName = (text) => Object.keys(ACTIONS).find((name) => ACTIONS[name].toLowerCase() === text.toLowerCase()) ?? text;

/** Shortens a UUID to its end, which differs between entries of the same time. */
const shortId = (text) => /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(text) ? `…\u2060${text.slice(-8)}` : text;

const spaced = (name) => name.replaceAll("_", " ");

function valueText(value) {
  if (typeof value === "object") return JSON.stringify(value);
  return value === true ? "yes" : value === false ? "no" : String(value);
}

/** Returns an entry's details, which are a sentence, `name: value` text, or JSON. */
function details(detail) {
  let fields = detail;
  if (typeof detail === "string" && /^\s*\{/.test(detail)) try { fields = JSON.parse(detail); } catch { /* It is text. */ }
  if (!fields) return "";
  if (typeof fields !== "object") {
    return String(fields).replace(/\b[a-z]+_[a-z_]+(?=: )/g, spaced).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, dateTime);
  }
  return Object.entries(fields).filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => h("span", { class: "pair" }, h("b", null, `${spaced(name)}: `), valueText(value)));
}
