// The "People" view: who can sign in and when they were last seen. Local accounts are added and edited in place.

import { $, button, h, debounce, put } from "../dom.js";
import { api, query } from "../api.js";
import { has, t } from "../i18n.js";
import { dateTime } from "../words.js";
import { wasOpen } from "../reload.js";
import { accountForm, ADD_FORM } from "./account-form.js";
import { ReadOnOpening } from "./read-on-opening.js";

const PATH = "/api/v1/admin/users";
const PAGE_SIZE = 100;
const TYPING_MS = 200;

const userPath = (username) => `${PATH}/${encodeURIComponent(username)}`;

/** Returns a link to another view, filtered by a user: it clears `form` and sets the field `name`. */
const viewLink = (label, view, form, name, user) => h("a", {
  href: `#${view}`, "aria-label": t("users.link.of", { view: label, user }),
  onclick: () => {
    for (const element of $(form).elements) if (element.name) element.value = element.name === name ? user : "";
    $(form).requestSubmit();
  },
}, label);

export class Users {
  #requests = 0;
  /** Whether more people than those of the first page are shown. */
  #isLong = false;
  #ownName = "";
  /** A row that is being edited stays, and so do further people. */
  #opening = new ReadOnOpening("#people", () => this.#isLong || Boolean(this.rows.querySelector(".expanded")), () => this.#load());

  constructor() {
    this.search = h("input", { name: "q", type: "search", autocomplete: "off", maxlength: 120 });
    this.search.addEventListener("input", debounce(TYPING_MS, () => this.#load()));
    this.add = button(t("account.add"), () => this.#showAddForm());
    this.addForm = h("div");
    this.summary = h("p", { class: "gap", role: "status" });
    this.rows = h("tbody");
    const heads = [t("account.name"), t("sessions.role"), t("users.seen"), t("users.source"), t("users.view")].map((head) => h("th", { scope: "col" }, head));
    this.table = h("div", { class: "scroll action-table", hidden: true },
      h("table", null, h("thead", null, h("tr", null, heads, h("td"))), this.rows));
    this.more = h("p");
    put($("people"), h("form", { class: "inline", role: "search", onsubmit: (event) => event.preventDefault() },
      h("label", { class: "field wide" }, h("span", null, t("users.query")), this.search), this.add),
    this.addForm, this.summary, this.table, this.more);
  }

  async run(running, user) {
    this.#ownName = user?.username;
    put(this.addForm);
    this.add.hidden = false;
    if (!running) put(this.rows);
    else if (wasOpen(ADD_FORM, user)) this.#showAddForm();
    await this.#opening.run(running);
  }

  /** Loads the first page, or the page at `cursor`. */
  async #load(cursor) {
    const request = ++this.#requests;
    const q = this.search.value.trim();
    if (!cursor && !this.rows.children.length) put(this.summary, t("data.loading"));
    try {
      const { items, next, total } = await api.get(`${PATH}${query({ q, limit: PAGE_SIZE, cursor })}`);
      if (request !== this.#requests) return;
      this.#isLong = Boolean(cursor);
      const rows = items.map((user) => this.#row(user));
      if (cursor) this.rows.append(...rows); else put(this.rows, rows);
      const shown = this.rows.querySelectorAll("tr:not(.expanded)").length;
      this.table.hidden = !shown;
      put(this.summary, !shown ? t(q ? "users.no_match" : "users.none", { q }) : t(shown < total ? "users.some" : "users.all", { shown, n: total }));
      put(this.more, next && button(t("data.more"), () => this.#load(next)));
    } catch (problem) {
      if (request !== this.#requests) return;
      put(this.summary, `${t("users.failed", { why: problem.message })} `, button(t("find.retry"), () => this.#load(cursor)));
    }
  }

  #row(user) {
    const { username, name, role, subjects, source, last_seen } = user;
    // An empty list is a limit, too.
    const limit = subjects && h("small", null, subjects.length ? t("users.only", { subjects: subjects.join(", ") }) : t("users.no_subjects"));
    const edit = source === "local"
      && button(t("users.edit"), () => this.#toggleForm(user, row), { "aria-label": t("users.edit.of", { user: username }), "aria-expanded": "false" });
    const row = h("tr", null,
      h("td", null, h("strong", { dir: "auto" }, name || username), name && name !== username && h("small", null, username)),
      h("td", null, t(`role.${role}`), limit),
      h("td", { "data-head": t("users.seen") }, last_seen ? dateTime(last_seen) : t("users.never")),
      h("td", null, has(`source.${source}`) ? t(`source.${source}`) : source.replace(/^oidc:/, `${t("source.sso")}: `)),
      h("td", { class: "row-links" }, viewLink(t("view.sessions"), "sessions", "session-filter", "q", username), " ",
        viewLink(t("users.activity"), "audit", "audit-filter", "user", username)),
      h("td", null, edit, username !== this.#ownName && button(t("users.erase"), () => this.#confirmErasure(user, row),
        { class: "quiet", "aria-label": t("users.erase.of", { user: username }) })));
    return row;
  }

  /** Asks below the row for a confirmation, and erases the person. */
  #confirmErasure({ username }, row) {
    if (row.nextElementSibling?.classList.contains("expanded")) row.nextElementSibling.remove();
    row.querySelector("button[aria-expanded]")?.setAttribute("aria-expanded", "false");
    const status = h("p", { role: "status" });
    const erase = button(t("users.erase.of", { user: username }), async () => {
      erase.disabled = true;
      status.className = "";
      put(status, t("users.erasing"));
      try {
        const { pseudonym } = await api.post(`${userPath(username)}/erase`, {});
        question.remove();
        put(row, h("td", { colspan: 6 }, t("users.erased", { user: username, pseudonym })));
        row.tabIndex = -1;
        row.focus();
      } catch (problem) {
        status.className = "stop";
        put(status, problem.message);
        erase.disabled = false;
      }
    }, { class: "danger" });
    const close = button(t("account.cancel"), () => {
      question.remove();
      row.lastElementChild.lastElementChild.focus();
    }, { class: "quiet" });
    const question = h("tr", { class: "expanded" }, h("td", { colspan: 6 },
      h("p", null, t("users.erase.ask", { user: username })),
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
        newRow.lastElementChild.append(h("small", { role: "status", class: "good" }, t(signedOut ? "users.saved.signed_out" : "save.done")));
        newRow.querySelector("button").focus();
      },
      onremove: async () => {
        await api.delete(userPath(user.username));
        row.nextElementSibling.remove();
        put(row, h("td", { colspan: 6 }, t("users.removed", { user: user.username })));
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
          throw new Error(t("users.exists", { user: username }));
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
