// A section's roster: who is enrolled and who is waiting. It is read again while it is open and the section changes.

import { button, debounce, field, h, markInvalid, put, table } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { printSheet, sheetParts } from "../print-sheet.js";
import { dateTime, ordinal, problemText } from "../words.js";
import { givenReason, reasonField } from "./change.js";

/** The roster of a changing section is read at most this often. */
const REFRESH_MS = 1_000;
/** Rows shown of each list; the CSV file has all of them. */
const ROWS_MAX = 200;

const path = (id) => `/api/v1/sections/${encodeURIComponent(id)}/roster`;
/** Returns a text with its own direction, such as a Hebrew name in an English table. */
const auto = (text) => h("span", { dir: "auto" }, text);
const displayName = (one) => one.name && one.name !== one.user ? one.name : one.user;
const personHeads = () => [t("roster.name"), t("sign.name"), t("roster.since")];
const person = (one) => [auto(displayName(one)), auto(one.user), dateTime(one.since)];
const position = (one) => one.status === "offered" ? t("roster.offered", { at: dateTime(one.expires_at) })
  : one.priority_group ? t("roster.position.group", { nth: ordinal(one.position), group: one.priority_group }) : ordinal(one.position);

export class Roster {
  #shown = "";

  /**
   * `facts`: facts about the section for a printed roster, such as its times. `oncompose(audience)` is called to write
   * an alert; without it, there are no such buttons. `everyone`: a part that moves all students to another section, if
   * there is one. `onstudent(person, back)` opens the file of a student, whose name is then a button; `back()` moves
   * the focus to that button. `mayMove`: whether the reader may change the order of the waitlist.
   */
  constructor(id, name, { facts = [], oncompose, everyone, onstudent, mayMove = false } = {}) {
    Object.assign(this, { id, name, facts, onstudent, mayMove });
    this.moving = h("div");
    this.lists = h("div", null, h("p", { class: "none" }, t("roster.loading")));
    this.status = h("span", { role: "status" });
    this.download = button(t("roster.download"), () => this.#download(), { "aria-label": t("roster.download.of", { name }) });
    this.print = button(t("roster.print"), () => printSheet(this.#sheet()), { disabled: true, class: "quiet", "aria-label": t("roster.print.of", { name }) });
    // An alert to a section reaches only the enrolled students, so the students on its waitlist are named.
    const sections = [id], users = () => this.#parts().waiting.map(({ user }) => user);
    const alert = (key, audience) => oncompose && button(t(key), () => oncompose(audience()), { class: "quiet", hidden: key !== "roster.alert", "aria-label": t(`${key}.of`, { name }) });
    this.compose = alert("roster.alert", () => ({ sections }));
    this.composeWaiting = alert("roster.alert.waiting", () => ({ users: users() }));
    this.composeBoth = alert("roster.alert.both", () => ({ sections, users: users() }));
    this.moveAll = everyone && button(t("everyone"), () => { this.clearStatus(); everyone.open(this.items.length); }, { class: "quiet", disabled: true, "aria-label": t("everyone.of", { name }) });
    this.el = h("div", { class: "roster" }, h("p", null, this.download, " ", this.print, " ", this.compose, " ", this.composeWaiting, " ", this.composeBoth, " ", this.moveAll, " ", this.status),
      this.moving, everyone?.el, this.lists);
    this.refresh = debounce(REFRESH_MS, () => this.el.isConnected && this.load());
  }

  /** Removes the result of the last action, when the next one begins. */
  clearStatus() {
    put(this.status);
  }

  async load() {
    try {
      const { items } = await api.get(path(this.id));
      const text = JSON.stringify(items);
      if (text === this.#shown) return;
      this.#shown = text;
      this.items = items;
      const { enrolled, waiting } = this.#parts();
      this.download.disabled = this.print.disabled = !items.length;
      if (this.compose) {
        this.compose.disabled = !enrolled.length;
        this.compose.hidden = !enrolled.length && waiting.length > 0;
        this.composeWaiting.hidden = !waiting.length;
        this.composeBoth.hidden = !enrolled.length || !waiting.length;
      }
      if (this.moveAll) this.moveAll.disabled = !items.length;
      const waitlisted = waiting.filter(({ status }) => status === "waitlisted").length;
      const move = (one) => one.status === "waitlisted" && button(t("roster.move"), () => this.#move(one, waitlisted),
        { class: "quiet", "aria-label": t("roster.move.of", { name: displayName(one) }) });
      const canMove = this.mayMove && waitlisted > 1;
      const shown = (one) => this.onstudent ? [this.#student(one), ...person(one).slice(1)] : person(one);
      put(this.lists,
        this.#list(t("roster.enrolled", { n: enrolled.length }), personHeads(), enrolled, shown, t("roster.enrolled.none")),
        this.#list(t("roster.waiting", { n: waiting.length }), [t("roster.position"), ...personHeads(), ...(canMove ? [""] : [])], waiting,
          (one) => [position(one), ...shown(one), ...(canMove ? [move(one)] : [])], t("roster.waiting.none")));
    } catch (problem) {
      put(this.lists, h("p", { class: "stop" }, `${t("roster.failed", { why: problemText(problem) })} `,
        button(t("find.retry"), () => this.load(), { class: "plain" })));
    }
  }

  /** Returns the name of a student, which opens the student's file. */
  #student(one) {
    const { user, name } = one;
    // The list may have been drawn again in the meantime.
    const back = () => (this.lists.querySelector(`[data-user="${CSS.escape(user)}"]`) ?? this.download).focus();
    return button(auto(displayName(one)), () => this.onstudent({ user, name: name === user ? undefined : name }, back),
      { class: "plain", "data-user": user, "aria-label": t("roster.student", { name: displayName(one) }) });
  }

  #parts() {
    return { enrolled: this.items.filter(({ status }) => status === "enrolled"), waiting: this.items.filter(({ status }) => status !== "enrolled") };
  }

  /**
   * Returns the parts of the printed roster. It has everyone, with a number for each, because a sheet is signed or
   * counted.
   */
  #sheet() {
    const { enrolled, waiting } = this.#parts();
    const lists = [
      { title: t("roster.enrolled", { n: enrolled.length }), heads: ["", ...personHeads()], rows: enrolled.map((one, i) => [i + 1, ...person(one)]) },
      { title: t("roster.waiting", { n: waiting.length }), heads: [t("roster.position"), ...personHeads()], rows: waiting.map((one) => [position(one), ...person(one)]) },
    ];
    return sheetParts(this.name, this.facts, lists.filter(({ rows }) => rows.length));
  }

  /** Asks for the new position of a student on the waitlist, and why. */
  #move(one, waitlisted) {
    const name = displayName(one);
    const input = h("input", { name: "position", type: "number", min: 1, required: true, inputmode: "numeric", value: one.position });
    const wrong = h("span", { role: "status" });
    this.clearStatus();
    const close = () => put(this.moving);
    const onsubmit = async (event) => {
      event.preventDefault();
      wrong.className = "stop";
      const position = Number(input.value);
      if (!Number.isInteger(position) || position < 1) {
        put(wrong, t("roster.move.wrong"));
        markInvalid(input, wrong);
        return input.focus();
      }
      const reason = givenReason(event.target, wrong);
      if (!reason) return;
      wrong.className = "";
      put(wrong, t("save.pending"));
      try {
        const path = `/api/v1/students/${encodeURIComponent(one.user)}/registrations/${encodeURIComponent(this.id)}/position`;
        const moved = await api.put(path, { position, reason });
        put(this.status, t("roster.moved", { name, nth: ordinal(moved.position) }));
        close();
        await this.load();
      } catch (problem) {
        wrong.className = "stop";
        put(wrong, problemText(problem));
      }
    };
    const title = h("h4", { tabindex: "-1" }, t("roster.move.of", { name }));
    put(this.moving, h("form", { class: "narrow", novalidate: true, onsubmit }, title,
      h("p", null, t("roster.move.now", { nth: ordinal(one.position), n: waitlisted })), field(t("roster.move.position"), input),
      field(t("student.reason"), reasonField(true), t("student.reason.hint")),
      h("p", { class: "inline" }, h("button", { class: "strong" }, t("roster.move")), button(t("sent.cancel"), close, { class: "quiet" }), " ", wrong)));
    title.focus();
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
