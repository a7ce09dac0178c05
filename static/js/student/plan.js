// The sections that a student prepares before registration opens.

import { api } from "../api.js";
import { t } from "../i18n.js";
import { showNote } from "../session.js";
import { problemText } from "../words.js";

export class Plan {
  #ids = [];
  #saving = Promise.resolve();
  #loaded = false;
  /** Changes made before the plan has loaded: whether each id is planned. */
  #early = new Map();
  /** Counts the changes made here, so that a read which started before one of them is ignored. */
  #changes = 0;

  /** `onchange(id)` is called when a section was added or removed; null for all. */
  constructor(page, onchange) {
    this.page = page;
    this.onchange = onchange;
  }

  /** Removes everything when the student signs out. */
  clear() {
    this.#ids = [];
    this.#loaded = false;
    this.#early.clear();
    this.onchange(null);
  }

  /** Resolves once every change has been saved, or its failure has been shown. */
  get saved() {
    return this.#saving;
  }

  async load() {
    const [user, changes] = [this.page.user(), this.#changes];
    const { sections } = await api.get("/api/v1/me/plan");
    if (this.page.user() !== user || (this.#loaded && changes !== this.#changes)) return;
    this.#loaded = true;
    const early = [...this.#early];
    this.#early.clear();
    const kept = sections.filter((id) => !early.some(([other, planned]) => other === id && !planned));
    this.#ids = [...new Set([...kept, ...early.filter(([, planned]) => planned).map(([id]) => id)])];
    if (String(this.#ids) !== String(sections)) this.#save(this.#ids, null);
    await this.page.catalogue.ensure(this.#ids);
    this.onchange(null);
  }

  has(id) {
    return this.#ids.includes(id);
  }

  inTerm(term) {
    return this.#ids.filter((id) => id.slice(0, id.lastIndexOf("-")) === term);
  }

  add(id) {
    if (!this.has(id)) this.#change([...this.#ids, id], id, true);
  }

  remove(id) {
    if (this.has(id)) this.#change(this.#ids.filter((other) => other !== id), id, false);
  }

  #change(ids, id, planned) {
    this.#changes += 1;
    if (this.#loaded) return this.#save(ids, id);
    this.#early.set(id, planned);
    this.#ids = ids;
    this.onchange(id);
  }

  /** Saves one change after another, so that the last one wins. After a failure, the hub's plan is read again. */
  #save(ids, id) {
    const user = this.page.user();
    this.#ids = ids;
    this.onchange(id);
    this.#saving = this.#saving.then(() => user === this.page.user() && api.put("/api/v1/me/plan", { sections: ids })).catch((problem) => {
      showNote(t("error.plan", { why: problemText(problem) }));
      return this.load().catch(() => {});
    });
  }
}
