// The section search: its form, the address that mirrors it, and the list of results.

import { $, button, debounce, h, openView, put, update } from "../dom.js";
import { i18n, onLanguage, t } from "../i18n.js";
import { icon } from "../icons.js";
import { problemText, weekday } from "../words.js";
import { VirtualList } from "../list.js";
import { Row } from "./row.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/** The pause after a keystroke before the search runs; a search takes a few milliseconds. */
const TYPING_MS = 80;
/** The pause before the address is written. Browsers allow a few hundred changes a minute. */
const ADDRESS_MS = 400;
const COMPACT_KEY = "eduhub.compact";

export class Finder {
  #subjects = "";
  #address = location.search;
  /** The term in the address. */
  #term = new URLSearchParams(location.search).get("term");
  #announce = debounce(700, (text) => put($("found-spoken"), text));
  #writeAddress = debounce(ADDRESS_MS, () => this.#toAddress());

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
    this.form = $("search");
    this.#drawDays();
    this.#fromAddress();
    this.list = new VirtualList($("rows"), () => new Row(page));
    const typed = debounce(TYPING_MS, () => this.changed());
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.changed(); });
    this.form.addEventListener("input", typed);
    this.form.addEventListener("reset", () => setTimeout(() => this.changed()));
    $("clear").addEventListener("click", () => { $("q").value = ""; $("q").focus(); this.changed(); });
    $("filters-toggle").addEventListener("click", () => {
      const open = $("filters").classList.toggle("open");
      $("filters-toggle").setAttribute("aria-expanded", open);
    });
    $("more-filters").addEventListener("click", () => this.page.loadMore().then((more) => more?.filters.toggle()));
    $("compact").addEventListener("change", () => {
      $("rows").classList.toggle("compact", $("compact").checked);
      try { localStorage.setItem(COMPACT_KEY, $("compact").checked ? "1" : ""); } catch { /* Storage is unavailable. */ }
    });
    try { $("rows").classList.toggle("compact", $("compact").checked = Boolean(localStorage.getItem(COMPACT_KEY))); } catch { /* Storage is unavailable. */ }
    $("order").addEventListener("change", () => this.changed());
    // A change of view alters only the fragment and is not a new search.
    addEventListener("popstate", () => location.search !== this.#address && (this.#fromAddress(), this.search()));
    document.addEventListener("keydown", (event) => this.#key(event));
    onLanguage(() => { this.#drawDays(); this.#drawSubjects(true); this.search({ keepScroll: true }); });
  }

  /** The current filter. */
  get filter() {
    const chosen = [...this.form.querySelectorAll("[name=day]:checked")].map(({ value }) => value);
    return { q: $("q").value.trim(), subject: $("subject").value, days: chosen, open: $("open").checked, order: $("order").value, also: this.page.more?.filters.predicate() };
  }

  /** Searches for `q` with no other filter. */
  find(q) {
    this.#clear();
    this.page.more?.sectionPage.show(null);
    $("q").value = q;
    this.changed();
    // On a phone, the field is hidden until the view has changed.
    openView("#find", () => $("q").focus());
  }

  /**
   * Searches again when more sections have loaded. Changes to a term that had loaded already are only offered, so that
   * no row moves.
   */
  catalogueChanged() {
    const { catalogue } = this.page;
    if (catalogue.updated) return this.#drawState(this.list.ids, this.filter);
    this.search({ keepScroll: true });
    // The address names a new term once its first sections have loaded.
    if (catalogue.state === "first" && this.#term !== catalogue.term) this.#toAddress();
  }

  /** Shows the matching sections. `keepScroll` keeps the scroll position. */
  search({ keepScroll = false } = {}) {
    const { catalogue } = this.page;
    catalogue.updated = false;
    this.#drawSubjects();
    const filter = this.filter;
    this.#drawFilterCount([filter.subject, filter.days.length, filter.open].filter(Boolean).length + (this.page.more?.filters.count ?? 0));
    $("clear").hidden = !filter.q;
    if (!catalogue.term || catalogue.state === "loading") {
      const hasNoTerm = !catalogue.term && this.page.terms.loaded;
      this.#setStatus(hasNoTerm ? "" : t("find.loading"));
      if (hasNoTerm) update($("none"), [h("p", null, h("strong", null, t("term.none"))), h("p", null, t("term.none.hint"))]);
      return this.list.show([]);
    }
    const ids = catalogue.state === "failed" && !catalogue.size ? [] : catalogue.search(filter);
    if (!keepScroll || ids.length !== this.list.ids.length || ids.some((id, i) => id !== this.list.ids[i])) this.#show(ids, keepScroll);
    else this.list.redraw(null);
    this.#drawState(ids, filter);
  }

  redraw(ids) {
    this.list.redraw(ids);
  }

  #drawFilterCount(n) {
    const key = `${n} ${i18n.language}`;
    if ($("filters-toggle").dataset.key === key) return;
    $("filters-toggle").dataset.key = key;
    put($("filters-toggle"), icon("filter"), h("span", null, n ? t("find.filters.set", { n }) : t("find.filters")));
  }

  #show(ids, keepScroll) {
    // Measured before the list changes: afterward, measuring would force a layout.
    const top = keepScroll ? 0 : $("rows").getBoundingClientRect().top;
    const edge = keepScroll ? 0 : $("tools").getBoundingClientRect().bottom;
    this.list.show(ids);
    // The results of a new search start at the first row.
    if (top < edge) scrollBy(0, top - edge);
  }

  /** Draws the number of results, or why there are none. */
  #drawState(ids, filter) {
    const { catalogue } = this.page;
    const { state } = catalogue;
    const total = catalogue.isFirst(filter) && !filter.also ? catalogue.first.total : ids.length;
    const canRefresh = filter.open || filter.order === "seats" || catalogue.updated;
    const retry = () => catalogue.load(catalogue.term, this.filter);
    const reset = () => { this.#clear(); this.changed(); };
    update($("none"), state === "failed" ? [h("p", null, t("find.failed", { why: problemText(catalogue.problem) })), button(t("find.retry"), retry)]
      : total > 0 ? null
      : state === "ready" && catalogue.size === 0 ? [h("p", null, h("strong", null, t("find.empty"))), h("p", null, t("find.empty.hint"))]
      : [h("p", null, h("strong", null, t("find.none"))), h("p", null, t("find.none.hint")), button(t("find.reset"), reset)]);
    const text = state === "failed" && !ids.length ? "" : t(state === "partial" && !catalogue.isFirst(filter) ? "find.partial" : "find.count", { n: total });
    this.#setStatus(text, canRefresh && (ids.length > 0 || catalogue.updated) && button(t("find.refresh"), () => this.search(), { class: "plain" }));
  }

  #setStatus(text, refresh = null) {
    const key = `${text} ${Boolean(refresh)} ${i18n.language}`;
    if ($("found").dataset.key === key) return;
    $("found").dataset.key = key;
    update($("found"), text, " ", refresh);
    this.#announce(text);
  }

  /** Searches, and then writes the address. */
  changed() {
    this.search();
    this.#writeAddress();
  }

  #clear() {
    $("q").value = "";
    $("subject").value = "";
    $("open").checked = false;
    this.page.more?.filters.clear();
    for (const box of this.form.querySelectorAll("[name=day]")) box.checked = false;
  }

  #drawDays() {
    const chosen = new Set(this.form.querySelectorAll("[name=day]:checked").length ? this.filter.days : []);
    put($("days"), DAYS.map((one) => h("label", { class: "chip" },
      h("input", { type: "checkbox", name: "day", value: one, checked: chosen.has(one), "aria-label": weekday(one, "long") }), h("span", { "aria-hidden": "true" }, weekday(one)))));
  }

  #drawSubjects(rebuild) {
    const { catalogue } = this.page;
    const chosen = $("subject").value || this.pendingSubject || "";
    const all = ["ready", "partial"].includes(catalogue.state) ? catalogue.subjects : chosen ? [chosen] : [];
    if (chosen && !all.includes(chosen) && catalogue.state !== "ready") all.unshift(chosen);
    const key = String(all);
    if (!rebuild && this.#subjects === key) return;
    this.#subjects = key;
    put($("subject"), h("option", { value: "" }, t("find.subject.all")), all.map((one) => h("option", { value: one, selected: one === chosen }, one)));
    this.pendingSubject = undefined;
  }

  #fromAddress() {
    this.#address = location.search;
    const given = new URLSearchParams(location.search);
    $("q").value = given.get("q") ?? "";
    // Chosen once the options have been drawn.
    this.pendingSubject = (given.get("subject") ?? "").toUpperCase();
    this.#drawSubjects(true);
    $("open").checked = given.get("open") === "true";
    $("order").value = ["time", "seats"].includes(given.get("order")) ? given.get("order") : "course";
    const days = (given.get("days") ?? "").split(",");
    for (const box of this.form.querySelectorAll("[name=day]")) box.checked = days.includes(box.value);
    this.page.more?.fromAddress();
  }

  #toAddress() {
    const { q, subject, days, open, order } = this.filter;
    const fields = { term: this.page.catalogue.term, q, subject, days: days.join(","), open: open && "true", order: order !== "course" && order, ...this.page.more?.fields };
    const given = Object.entries(fields).filter(([, value]) => value);
    history.replaceState(null, "", `${given.length ? `?${new URLSearchParams(given)}` : location.pathname}${location.hash}`);
    this.#address = location.search;
    this.#term = fields.term;
  }

  /** Records an address that was changed elsewhere: it is not a new search. */
  addressChanged() {
    this.#address = location.search;
  }

  /** Moves the focus to a row of the list, if it is rendered, else to the search. */
  focusRow(id) {
    (this.list.row(id)?.head ?? $("q")).focus();
  }

  /** Moves through the rows with the arrow keys. No single letter is a shortcut (WCAG 2.1.4). */
  #key(event) {
    if (["ArrowDown", "ArrowUp"].includes(event.key) && (event.target === $("q") || $("rows").contains(event.target))) {
      if (this.list.step(event.target === $("q") ? 0 : event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
      else if (event.key === "ArrowUp") $("q").focus();
    }
  }
}
