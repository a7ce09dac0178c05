// What was done, by whom: the newest page first, older ones on asking.

import { $, button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { count } from "../words.js";

const PAGE = 100;

export class Audit {
  constructor() {
    this.form = $("audit-filter");
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#show(); });
  }

  run(running) {
    if (running) this.#show();
    else put($("audit-rows"));
  }

  async #show(cursor) {
    const { user, action, since } = this.form.elements;
    put($("audit-found"), "Reading…");
    const at = since.value ? new Date(since.value).toISOString() : undefined;
    try {
      const { items, next } = await api.get(`/api/v1/admin/audit${query({ user: user.value.trim(), action: action.value.trim(), since: at, limit: PAGE, cursor })}`);
      if (!cursor) put($("audit-rows"));
      $("audit-rows").append(...items.map(row));
      const shown = $("audit-rows").children.length;
      put($("audit-found"), shown ? `${count(shown, "entry", "entries")} shown${next ? ", there are more" : ""}.` : "Nothing fits.");
      put($("audit-more"), next && button("Show more", () => this.#show(next)));
    } catch (problem) {
      put($("audit-found"), problem.message);
    }
  }
}

function row({ at, user, role, ip, action, subject, section, detail, request_id }) {
  const text = detail && typeof detail === "object" ? JSON.stringify(detail) : detail;
  return h("tr", null, [new Date(at).toLocaleString(), user ? `${user}${role ? ` (${role})` : ""}` : "visitor", action, subject, section, text, ip, request_id]
    .map((cell) => h("td", null, cell ?? "")));
}
