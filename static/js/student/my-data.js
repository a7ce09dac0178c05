// "My data": who has viewed the student's data. The download of all the data is a plain link.

import { $, button, h, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { dateTime, problemText } from "../words.js";

const PATH = "/api/v1/me/disclosures";
const PAGE_SIZE = 50;

export class MyData {
  #requests = 0;

  constructor(page) {
    this.page = page;
    this.rows = h("ul", { role: "list" });
    this.status = h("p", { role: "status", class: "none" });
    put($("my-data-readers"), this.rows, this.status);
  }

  /** Loads the newest entries, or those at `cursor`. */
  async load(cursor) {
    const request = ++this.#requests;
    if (!cursor) put(this.rows);
    put(this.status, t("data.loading"));
    try {
      const { items, next } = await api.get(`${PATH}?limit=${PAGE_SIZE}${cursor ? `&cursor=${cursor}` : ""}`);
      if (request !== this.#requests) return;
      this.rows.append(...items.map((item) => this.#row(item)));
      put(this.status, !this.rows.children.length && t("data.none"),
        next && button(t("data.more"), () => this.load(next), { class: "quiet" }));
    } catch (problem) {
      if (request === this.#requests) put(this.status, t("data.failed", { why: problemText(problem) }));
    }
  }

  #row({ at, name, role, action, section }) {
    const what = t(`data.read.${action}`, { section: section && this.page.catalogue.name(section) });
    const by = [name, role && t(`role.${role}`)].filter(Boolean).join(", ");
    return h("li", null, h("strong", null, what), h("p", { class: "none" }, `${by}, ${dateTime(at)}`));
  }
}
