// The plan that a student makes before registration opens.

import { api } from "../api.js";
import { t } from "../i18n.js";
import { note } from "../session.js";
import { sentence } from "../words.js";

export class Plan {
  #ids = [];
  #saving = Promise.resolve();

  /** `onchange(id)`: one section was planned or is not any more; null for all. */
  constructor(page, onchange) {
    this.page = page;
    this.onchange = onchange;
  }

  forget() {
    this.#ids = [];
    this.onchange(null);
  }

  async load() {
    this.#ids = (await api.get("/api/v1/me/plan")).sections;
    await this.page.catalogue.need(this.#ids);
    this.onchange(null);
  }

  has(id) {
    return this.#ids.includes(id);
  }

  inTerm(term) {
    return this.#ids.filter((id) => id.slice(0, id.lastIndexOf("-")) === term);
  }

  add(id) {
    if (!this.has(id)) this.#save([...this.#ids, id], id);
  }

  remove(id) {
    if (this.has(id)) this.#save(this.#ids.filter((other) => other !== id), id);
  }

  /** One write after the other, so that the last press is what is kept; a failure puts back what the hub has. */
  #save(ids, id) {
    this.#ids = ids;
    this.onchange(id);
    this.#saving = this.#saving.then(() => api.put("/api/v1/me/plan", { sections: ids })).catch((problem) => {
      note(t("error.plan", { why: sentence(problem) }));
      return this.load().catch(() => {});
    });
  }
}
