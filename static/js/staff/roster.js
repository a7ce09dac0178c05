// A section's roster: who is enrolled and who is waiting. It is read again while it is open and the section changes.

import { button, h, debounce, put, table } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { dateTime, ordinal, problemText } from "../words.js";

/** The roster of a changing section is read at most this often. */
const REFRESH_MS = 1_000;
/** Rows shown of each list; the CSV file has all of them. */
const ROWS_MAX = 200;

const path = (id) => `/api/v1/sections/${encodeURIComponent(id)}/roster`;
/** A text of its own direction, such as a Hebrew name in an English table. */
const auto = (text) => h("span", { dir: "auto" }, text);
const displayName = (one) => one.name && one.name !== one.user ? one.name : one.user;

export class Roster {
  #shown = "";

  /** `oncompose()` is called to write an alert to the students of the section; without it, there is no such button. */
  constructor(id, name, oncompose) {
    this.id = id;
    this.lists = h("div", null, h("p", { class: "none" }, t("roster.loading")));
    this.status = h("span", { role: "status" });
    this.download = button(t("roster.download"), () => this.#download(), { "aria-label": t("roster.download.of", { name }) });
    this.compose = oncompose && button(t("roster.alert"), oncompose, { class: "quiet", "aria-label": t("roster.alert.of", { name }) });
    this.el = h("div", { class: "roster" }, h("p", null, this.download, " ", this.compose, " ", this.status), this.lists);
    this.refresh = debounce(REFRESH_MS, () => this.el.isConnected && this.load());
  }

  async load() {
    try {
      const { items } = await api.get(path(this.id));
      const text = JSON.stringify(items);
      if (text === this.#shown) return;
      this.#shown = text;
      const enrolled = items.filter(({ status }) => status === "enrolled");
      const waiting = items.filter(({ status }) => status !== "enrolled");
      this.download.disabled = !items.length;
      if (this.compose) this.compose.disabled = !enrolled.length;
      const person = (one) => [auto(displayName(one)), auto(one.user), dateTime(one.since)];
      put(this.lists,
        this.#list(t("roster.enrolled", { n: enrolled.length }), [t("roster.name"), t("sign.name"), t("roster.since")], enrolled, person, t("roster.enrolled.none")),
        this.#list(t("roster.waiting", { n: waiting.length }), [t("roster.position"), t("roster.name"), t("sign.name"), t("roster.since")], waiting,
          (one) => [one.status === "offered" ? t("roster.offered", { at: dateTime(one.expires_at) }) : ordinal(one.position), ...person(one)], t("roster.waiting.none")));
    } catch (problem) {
      put(this.lists, h("p", { class: "stop" }, `${t("roster.failed", { why: problemText(problem) })} `,
        button(t("find.retry"), () => this.load(), { class: "plain" })));
    }
  }

  #list(title, heads, people, row, emptyText) {
    if (!people.length) return h("div", null, h("h4", null, title), h("p", { class: "none" }, emptyText));
    const more = people.length > ROWS_MAX
      && h("p", { class: "none" }, t("roster.first", { n: ROWS_MAX }));
    return h("div", null, table(title, heads, people.slice(0, ROWS_MAX).map(row)), more);
  }

  /** Downloads the CSV with `fetch`, because a plain link could not set the `Accept` header. */
  async #download() {
    put(this.status, t("roster.downloading"));
    try {
      const response = await fetch(path(this.id), { headers: { Accept: "text/csv" } });
      if (!response.ok) throw Object.assign(new Error(), await response.json());
      const link = h("a", { href: URL.createObjectURL(await response.blob()), download: `roster-${this.id}.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), REFRESH_MS);
      put(this.status);
    } catch (problem) {
      put(this.status, t("roster.download.failed", { why: problemText(problem.code ? problem : { code: "no_answer" }) }));
    }
  }
}
