// Who may sign in, and when they were last here; accounts of the hub itself are made and changed in place.

import { $, button, h, later, put } from "../dom.js";
import { api, query } from "../api.js";
import { t } from "../i18n.js";
import { count, moment } from "../words.js";
import { accountForm } from "./account-form.js";

const PATH = "/api/v1/admin/users";
const PAGE = 100;
const FROM = { local: "An account here", plone: "The college's Plone", token: "A token" };

/** Shows another part of the page, narrowed to a user. */
const elsewhere = (label, part, form, name, user) => h("a", {
  href: `#${part}`, "aria-label": `${label} of ${user}`,
  onclick: () => {
    const { elements } = $(form);
    for (const one of elements) if (one.name) one.value = one.name === name ? user : "";
    $(form).requestSubmit();
  },
}, label);

export class People {
  #asked = 0;
  #me = "";

  constructor() {
    this.search = h("input", { name: "q", type: "search", autocomplete: "off", maxlength: 120 });
    this.search.addEventListener("input", later(200, () => this.#show()));
    this.add = button("Add an account", () => this.#adding());
    this.place = h("div");
    this.found = h("p", { class: "gap", role: "status" });
    this.rows = h("tbody");
    this.table = h("div", { class: "scroll acts", hidden: true }, h("table", null,
      h("thead", null, h("tr", null, ["Name", "Role", "Last here", "Signs in by", "Look at"].map((head) => h("th", { scope: "col" }, head)), h("td"))), this.rows));
    this.more = h("p");
    put($("people"), h("form", { class: "inline", role: "search", onsubmit: (event) => event.preventDefault() },
      h("label", { class: "field wide" }, h("span", null, "Name or user name"), this.search), this.add),
    this.place, this.found, this.table, this.more);
  }

  async run(running, user) {
    this.#me = user?.username;
    put(this.place);
    this.add.hidden = false;
    if (!running) return put(this.rows);
    await this.#show();
  }

  /** The first page, or the one after `cursor`. */
  async #show(cursor) {
    const asked = ++this.#asked;
    const q = this.search.value.trim();
    if (!cursor && !this.rows.children.length) put(this.found, "Reading…");
    try {
      const { items, next, total } = await api.get(`${PATH}${query({ q, limit: PAGE, cursor })}`);
      if (asked !== this.#asked) return;
      const rows = items.map((user) => this.#row(user));
      if (cursor) this.rows.append(...rows); else put(this.rows, rows);
      const shown = this.rows.querySelectorAll("tr:not(.opened)").length;
      this.table.hidden = !shown;
      const all = count(total, "person", "people");
      put(this.found, !shown ? (q ? `Nobody's name has “${q}” in it.` : "Nobody has been here yet.") : shown < total ? `${shown.toLocaleString()} of ${all}.` : `${all}.`);
      put(this.more, next && button("Show more", () => this.#show(next)));
    } catch (problem) {
      if (asked === this.#asked) put(this.found, `The list did not arrive. ${problem.message} `, button("Read it again", () => this.#show(cursor)));
    }
  }

  #row(user) {
    const { username, name, role, source, last_seen } = user;
    const change = source === "local" && button("Change", () => this.#change(user, row), { "aria-label": `Change ${username}`, "aria-expanded": "false" });
    const row = h("tr", null,
      h("td", null, h("strong", null, name || username), name && name !== username && h("small", null, username)),
      h("td", null, t(`role.${role}`)), h("td", { "data-head": "Last here" }, last_seen ? moment(last_seen) : "never"), h("td", null, FROM[source] ?? source),
      h("td", { class: "ways" }, elsewhere("Sessions", "sessions", "session-filter", "q", username), " ", elsewhere("Actions", "audit", "audit-filter", "user", username)),
      h("td", null, change));
    return row;
  }

  #change(user, row) {
    const press = row.querySelector("button");
    const close = () => {
      press.setAttribute("aria-expanded", "false");
      row.nextElementSibling.remove();
      press.focus();
    };
    if (press.getAttribute("aria-expanded") === "true") return close();
    press.setAttribute("aria-expanded", "true");
    const form = accountForm({
      user, mine: user.username === this.#me, oncancel: close,
      onsave: async (fields) => {
        const changed = { ...user, ...await api.put(`${PATH}/${encodeURIComponent(user.username)}`, fields) };
        const fresh = this.#row(changed);
        row.nextElementSibling.remove();
        row.replaceWith(fresh);
        this.#told(fresh, fields.password || fields.role !== user.role ? "Saved; signed out everywhere" : "Saved");
      },
      onremove: async () => {
        await api.delete(`${PATH}/${encodeURIComponent(user.username)}`);
        row.nextElementSibling.remove();
        put(row, h("td", { colspan: 6 }, `The account of ${user.username} is removed, and nobody can sign in with it.`));
        row.tabIndex = -1;
        row.focus();
      },
    });
    row.after(h("tr", { class: "opened" }, h("td", { colspan: 6 }, form)));
    form.querySelector("input").focus();
  }

  /** What became of a change stands beside the button that made it. */
  #told(row, text) {
    row.lastElementChild.append(h("small", { role: "status", class: "good" }, text));
    row.querySelector("button").focus();
  }

  #adding() {
    const close = () => {
      put(this.place);
      this.add.hidden = false;
      this.add.focus();
    };
    this.add.hidden = true;
    const form = accountForm({
      oncancel: close,
      onsave: async ({ username, ...fields }) => {
        // The same request changes an account that there is, which is not what was asked for.
        const { items } = await api.get(`${PATH}${query({ q: username, limit: 5_000 })}`);
        if (items.some((one) => one.username === username && one.source === "local")) throw new Error(`${username} has an account already. Look for it below, and change it there.`);
        await api.put(`${PATH}/${encodeURIComponent(username)}`, fields);
        this.search.value = username;
        close();
        await this.#show();
      },
    });
    put(this.place, form);
    form.querySelector("input").focus();
  }
}
