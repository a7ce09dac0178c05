// The "People" view: who can sign in and when they were last seen. Local accounts are added and edited in place.

import { $, button, h, debounce, put } from "../dom.js";
import { api, query } from "../api.js";
import { t } from "../i18n.js";
import { count, dateTime } from "../words.js";
import { accountForm } from "./account-form.js";

const PATH = "/api/v1/admin/users";
const PAGE_SIZE = 100;
const TYPING_MS = 200;
const SOURCES = { local: "Local account", plone: "Plone", token: "Token", proxy: "College web server" };

const userPath = (username) => `${PATH}/${encodeURIComponent(username)}`;

/** Returns a link to another view, filtered by a user: it clears `form` and sets the field `name`. */
const viewLink = (label, view, form, name, user) => h("a", {
  href: `#${view}`, "aria-label": `${label} of ${user}`,
  onclick: () => {
    for (const element of $(form).elements) if (element.name) element.value = element.name === name ? user : "";
    $(form).requestSubmit();
  },
}, label);

export class Users {
  #requests = 0;
  #ownName = "";

  constructor() {
    this.search = h("input", { name: "q", type: "search", autocomplete: "off", maxlength: 120 });
    this.search.addEventListener("input", debounce(TYPING_MS, () => this.#load()));
    this.add = button("Add account", () => this.#showAddForm());
    this.addForm = h("div");
    this.summary = h("p", { class: "gap", role: "status" });
    this.rows = h("tbody");
    const heads = ["Name", "Role", "Last seen", "Signs in with", "View"].map((head) => h("th", { scope: "col" }, head));
    this.table = h("div", { class: "scroll action-table", hidden: true },
      h("table", null, h("thead", null, h("tr", null, heads, h("td"))), this.rows));
    this.more = h("p");
    put($("people"), h("form", { class: "inline", role: "search", onsubmit: (event) => event.preventDefault() },
      h("label", { class: "field wide" }, h("span", null, "Name or username"), this.search), this.add),
    this.addForm, this.summary, this.table, this.more);
  }

  async run(running, user) {
    this.#ownName = user?.username;
    put(this.addForm);
    this.add.hidden = false;
    if (!running) return put(this.rows);
    await this.#load();
  }

  /** Loads the first page, or the page at `cursor`. */
  async #load(cursor) {
    const request = ++this.#requests;
    const q = this.search.value.trim();
    if (!cursor && !this.rows.children.length) put(this.summary, "Loading…");
    try {
      const { items, next, total } = await api.get(`${PATH}${query({ q, limit: PAGE_SIZE, cursor })}`);
      if (request !== this.#requests) return;
      const rows = items.map((user) => this.#row(user));
      if (cursor) this.rows.append(...rows); else put(this.rows, rows);
      const shown = this.rows.querySelectorAll("tr:not(.expanded)").length;
      this.table.hidden = !shown;
      const all = count(total, "person", "people");
      put(this.summary, !shown ? (q ? `No one matches “${q}”.` : "No users yet.")
        : shown < total ? `${shown.toLocaleString()} of ${all}.` : `${all}.`);
      put(this.more, next && button("Show more", () => this.#load(next)));
    } catch (problem) {
      if (request !== this.#requests) return;
      put(this.summary, `Couldn't load users. ${problem.message} `, button("Try again", () => this.#load(cursor)));
    }
  }

  #row(user) {
    const { username, name, role, subjects, source, last_seen } = user;
    // An empty list is a limit, too.
    const limit = subjects && h("small", null, subjects.length ? `Only ${subjects.join(", ")}` : "No subjects");
    const edit = source === "local"
      && button("Edit", () => this.#toggleForm(user, row), { "aria-label": `Edit ${username}`, "aria-expanded": "false" });
    const row = h("tr", null,
      h("td", null, h("strong", null, name || username), name && name !== username && h("small", null, username)),
      h("td", null, t(`role.${role}`), limit),
      h("td", { "data-head": "Last seen" }, last_seen ? dateTime(last_seen) : "Never"),
      h("td", null, SOURCES[source] ?? source.replace(/^oidc:/, "Single sign-on: ")),
      h("td", { class: "row-links" }, viewLink("Sessions", "sessions", "session-filter", "q", username), " ",
        viewLink("Activity", "audit", "audit-filter", "user", username)),
      h("td", null, edit, username !== this.#ownName && button("Erase", () => this.#confirmErasure(user, row),
        { class: "quiet", "aria-label": `Erase ${username}` })));
    return row;
  }

  /** Asks below the row for a confirmation, and erases the person. */
  #confirmErasure({ username }, row) {
    if (row.nextElementSibling?.classList.contains("expanded")) row.nextElementSibling.remove();
    row.querySelector("button[aria-expanded]")?.setAttribute("aria-expanded", "false");
    const status = h("p", { role: "status" });
    const erase = button(`Erase ${username}`, async () => {
      erase.disabled = true;
      status.className = "";
      put(status, "Erasing…");
      try {
        const { pseudonym } = await api.post(`${userPath(username)}/erase`, {});
        question.remove();
        put(row, h("td", { colspan: 6 }, `${username} was erased. Rosters of ended terms and the audit trail show ${pseudonym} instead.`));
        row.tabIndex = -1;
        row.focus();
      } catch (problem) {
        status.className = "stop";
        put(status, problem.message);
        erase.disabled = false;
      }
    }, { class: "danger" });
    const close = button("Cancel", () => {
      question.remove();
      row.lastElementChild.lastElementChild.focus();
    }, { class: "quiet" });
    const question = h("tr", { class: "expanded" }, h("td", { colspan: 6 },
      h("p", null, `Erase ${username}? The account, the plan, and the sign-ins are deleted, and a pseudonym replaces the username everywhere else. This can't be undone.`),
      h("div", { class: "inline" }, erase, close), status));
    row.after(question);
    close.focus();
  }

  /** Opens the form below the row, or closes it. */
  #toggleForm(user, row) {
    const edit = row.querySelector("button");
    const close = () => {
      edit.setAttribute("aria-expanded", "false");
      row.nextElementSibling.remove();
      edit.focus();
    };
    if (edit.getAttribute("aria-expanded") === "true") return close();
    edit.setAttribute("aria-expanded", "true");
    const form = accountForm({
      user, isSelf: user.username === this.#ownName, oncancel: close,
      onsave: async (fields) => {
        const newRow = this.#row({ ...user, subjects: undefined, ...await api.put(userPath(user.username), fields) });
        row.nextElementSibling.remove();
        row.replaceWith(newRow);
        const signedOut = fields.password || fields.role !== user.role || String(fields.subjects ?? []) !== String(user.subjects ?? []);
        newRow.lastElementChild.append(h("small", { role: "status", class: "good" }, signedOut ? "Saved. Signed out everywhere." : "Saved."));
        newRow.querySelector("button").focus();
      },
      onremove: async () => {
        await api.delete(userPath(user.username));
        row.nextElementSibling.remove();
        put(row, h("td", { colspan: 6 }, `The account ${user.username} was removed. No one can sign in with it.`));
        row.tabIndex = -1;
        row.focus();
      },
    });
    row.after(h("tr", { class: "expanded" }, h("td", { colspan: 6 }, form)));
    form.querySelector("input").focus();
  }

  #showAddForm() {
    const close = () => {
      put(this.addForm);
      this.add.hidden = false;
      this.add.focus();
    };
    this.add.hidden = true;
    const form = accountForm({
      oncancel: close,
      onsave: async ({ username, ...fields }) => {
        // The PUT would silently change an existing account.
        const { items } = await api.get(`${PATH}${query({ q: username, limit: 5_000 })}`);
        if (items.some((one) => one.username === username && one.source === "local")) {
          throw new Error(`The account ${username} already exists. Edit it in the list below.`);
        }
        await api.put(userPath(username), fields);
        this.search.value = username;
        close();
        await this.#load();
      },
    });
    put(this.addForm, form);
    form.querySelector("input").focus();
  }
}
