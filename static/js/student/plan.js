// The plan that a student makes before registration opens.

import { api } from "../api.js";
import { t } from "../i18n.js";
import { note } from "../session.js";
import { sentence } from "../words.js";

export class Plan {
  #ids = [];
  #saving = Promise.resolve();
  /** Whether what the hub has is here; until then what is pressed is only noted: `id` and whether it is planned. */
  #loaded = false;
  #early = new Map();
  /** How often something was pressed: a reading that was asked for before is older than that. */
  #presses = 0;

  /** `onchange(id)`: one section was planned or is not any more; null for all. */
  constructor(page, onchange) {
    this.page = page;
    this.onchange = onchange;
  }

  forget() {
    this.#ids = [];
    this.#loaded = false;
    this.#early.clear();
    this.onchange(null);
  }

  /** Comes back once all that was pressed is kept, or was told not to be. */
  get saved() {
    return this.#saving;
  }

  async load() {
    const [user, presses] = [this.page.user(), this.#presses];
    const { sections } = await api.get("/api/v1/me/plan");
    if (this.page.user() !== user || (this.#loaded && presses !== this.#presses)) return;
    this.#loaded = true;
    const early = [...this.#early];
    this.#early.clear();
    const kept = sections.filter((id) => !early.some(([other, planned]) => other === id && !planned));
    this.#ids = [...new Set([...kept, ...early.filter(([, planned]) => planned).map(([id]) => id)])];
    if (String(this.#ids) !== String(sections)) this.#save(this.#ids, null);
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
    if (!this.has(id)) this.#press([...this.#ids, id], id, true);
  }

  remove(id) {
    if (this.has(id)) this.#press(this.#ids.filter((other) => other !== id), id, false);
  }

  #press(ids, id, planned) {
    this.#presses += 1;
    if (this.#loaded) return this.#save(ids, id);
    this.#early.set(id, planned);
    this.#ids = ids;
    this.onchange(id);
  }

  /** One write after the other, so that the last press is what is kept; a failure puts back what the hub has. */
  #save(ids, id) {
    const user = this.page.user();
    this.#ids = ids;
    this.onchange(id);
    this.#saving = this.#saving.then(() => user === this.page.user() && api.put("/api/v1/me/plan", { sections: ids })).catch((problem) => {
      note(t("error.plan", { why: sentence(problem) }));
      return this.load().catch(() => {});
    });
  }
}
