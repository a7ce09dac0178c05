// The sections that a student prepares before registration opens, and what to do if one of them is full.

import { api } from "../api.js";
import { t } from "../i18n.js";
import { showNote } from "../session.js";
import { problemText } from "../words.js";

/** Reads a planned section: `{section, waitlist, alternates}`. The hub sends only the id if nothing else is set. */
const read = (entry) => typeof entry === "string" ? { section: entry, waitlist: false, alternates: [] } : { waitlist: false, alternates: [], ...entry };
const written = (entry) => entry.waitlist || entry.alternates.length ? entry : entry.section;

export class Plan {
  #entries = [];
  #saving = Promise.resolve();
  #loaded = false;
  /** Changes made before the plan has loaded: whether each id is planned. */
  #early = new Map();
  /** Counts the changes made here, so that a read which started before one of them is ignored. */
  #changes = 0;

  /** `onchange(id)` is called when a section has been added, changed or removed; null for all. */
  constructor(page, onchange) {
    this.page = page;
    this.onchange = onchange;
  }

  /** Removes everything when the student signs out. */
  clear() {
    this.#entries = [];
    this.#loaded = false;
    this.#early.clear();
    this.onchange(null);
  }

  /** Whether the plan has been read. */
  get isLoaded() {
    return this.#loaded;
  }

  /** Resolves once every change has been saved, or its failure has been shown. */
  get saved() {
    return this.#saving;
  }

  async load() {
    const [user, changes] = [this.page.user(), this.#changes];
    const entries = (await api.get("/api/v1/me/plan")).sections.map(read);
    if (this.page.user() !== user || (this.#loaded && changes !== this.#changes)) return;
    this.#loaded = true;
    const early = [...this.#early];
    this.#early.clear();
    const kept = entries.filter(({ section }) => !early.some(([other, planned]) => other === section && !planned));
    const added = early.filter(([id, planned]) => planned && !kept.some(({ section }) => section === id));
    this.#entries = [...kept, ...added.map(([id]) => read(id))];
    if (added.length || kept.length !== entries.length) this.#save(this.#entries, null);
    await this.page.catalogue.ensure(this.#entries.flatMap(({ section, alternates }) => [section, ...alternates]));
    this.onchange(null);
  }

  has(id) {
    return this.#entries.some(({ section }) => section === id);
  }

  /** Returns what to do if a planned section is full: `{waitlist, alternates}`. */
  choices(id) {
    return this.#entries.find(({ section }) => section === id) ?? read(id);
  }

  inTerm(term) {
    return this.#entries.map(({ section }) => section).filter((id) => id.slice(0, id.lastIndexOf("-")) === term);
  }

  add(id) {
    if (!this.has(id)) this.#change([...this.#entries, read(id)], id, true, () => this.add(id));
  }

  remove(id) {
    if (this.has(id)) this.#change(this.#entries.filter(({ section }) => section !== id), id, false, () => this.remove(id));
  }

  /** Sets what to do if a planned section is full. */
  setChoices(id, choices) {
    if (this.#loaded && this.has(id)) this.#change(this.#entries.map((entry) => entry.section === id ? { ...entry, ...choices } : entry), id, true, () => this.setChoices(id, choices));
  }

  /** Plans the alternate `other`, which the student got, in the place of `id`. */
  replace(id, other) {
    this.#change(this.#entries.filter(({ section }) => section !== other).map((entry) => entry.section === id ? read(other) : entry), id, false);
  }

  /** Changes the plan. `again()` makes the same change later: an expired sign-in may prevent it. */
  #change(entries, id, planned, again) {
    this.#changes += 1;
    if (this.#loaded) return this.#save(entries, id, again);
    this.#early.set(id, planned);
    this.#entries = entries;
    this.onchange(id);
  }

  /** Saves one change after another, so that the last one wins. After a failure, the hub's plan is read again. */
  #save(entries, id, again) {
    const user = this.page.user();
    this.#entries = entries;
    this.onchange(id);
    const sections = entries.map(written);
    this.#saving = this.#saving.then(() => user === this.page.user() && api.put("/api/v1/me/plan", { sections })).catch((problem) => {
      if (problem.code === "unauthenticated" && again) return this.page.interrupted([id], again);
      showNote(t("error.plan", { why: problemText(problem) }));
      return this.load().catch(() => {});
    });
  }
}
