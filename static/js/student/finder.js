// Looking for a section: the form, its copy in the address, and the list of what fits.

import { $, button, h, later, put } from "../dom.js";
import { now, onLanguage, t } from "../i18n.js";
import { icon } from "../icons.js";
import { day, sentence } from "../words.js";
import { VirtualList } from "../list.js";
import { Row } from "./row.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/** After the last letter typed: a search takes a few milliseconds, the address may be written some hundred times a minute. */
const TYPING_MS = 80;
const ADDRESS_MS = 400;

export class Finder {
  #subjects = "";
  #address = location.search;
  /** The term that the address names. */
  #term = new URLSearchParams(location.search).get("term");
  #say = later(700, (text) => put($("found-said"), text));
  #write = later(ADDRESS_MS, () => this.#toAddress());

  /** `page`: what the modules of this page share; see main.js. */
  constructor(page) {
    this.page = page;
    this.form = $("search");
    this.#drawDays();
    this.#fromAddress();
    this.list = new VirtualList($("rows"), () => new Row(page));
    const typed = later(TYPING_MS, () => this.#changed());
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#changed(); });
    this.form.addEventListener("input", typed);
    this.form.addEventListener("reset", () => setTimeout(() => this.#changed()));
    $("clear").addEventListener("click", () => { $("q").value = ""; $("q").focus(); this.#changed(); });
    $("filters-toggle").addEventListener("click", () => {
      const open = $("filters").classList.toggle("open");
      $("filters-toggle").setAttribute("aria-expanded", open);
    });
    $("order").addEventListener("change", () => this.#changed());
    // Another tab of the page is no other search.
    addEventListener("popstate", () => location.search !== this.#address && (this.#fromAddress(), this.search()));
    document.addEventListener("keydown", (event) => this.#key(event));
    onLanguage(() => { this.#drawDays(); this.#drawSubjects(true); this.search({ stay: true }); });
  }

  /** What is asked for. */
  get filter() {
    const chosen = [...this.form.querySelectorAll("[name=day]:checked")].map(({ value }) => value);
    return { q: $("q").value.trim(), subject: $("subject").value, days: chosen, open: $("open").checked, order: $("order").value };
  }

  /** Looks for a course, as if it had been typed, with nothing else asked for. */
  find(q) {
    this.#clear();
    $("q").value = q;
    location.hash = "#find";
    this.#changed();
    $("q").focus();
  }

  /** More of the catalogue is here. What is new in a term that was here already is shown when it is asked for. */
  more() {
    const { catalogue } = this.page;
    if (catalogue.renewed) return this.#told(this.list.ids, this.filter);
    this.search({ stay: true });
    // Another term is another address, once it is there.
    if (catalogue.state === "first" && this.#term !== catalogue.term) this.#toAddress();
  }

  /** Shows what fits now; `stay` keeps the place in the list. */
  search({ stay = false } = {}) {
    const { catalogue } = this.page;
    catalogue.renewed = false;
    this.#drawSubjects();
    const filter = this.filter;
    const set = [filter.subject, filter.days.length, filter.open].filter(Boolean).length;
    this.#tellFilters(set);
    $("clear").hidden = !filter.q;
    if (!catalogue.term || catalogue.state === "loading") {
      this.#tell(catalogue.term || !this.page.terms.loaded ? t("find.loading") : "");
      return this.list.show([]);
    }
    const ids = catalogue.state === "failed" && !catalogue.size ? [] : catalogue.search(filter);
    if (!stay || ids.length !== this.list.ids.length || ids.some((id, i) => id !== this.list.ids[i])) this.#show(ids, stay);
    else this.list.redraw(null);
    this.#told(ids, filter);
  }

  redraw(ids) {
    this.list.redraw(ids);
  }

  #tellFilters(set) {
    const key = `${set} ${now.language}`;
    if ($("filters-toggle").dataset.key === key) return;
    $("filters-toggle").dataset.key = key;
    put($("filters-toggle"), icon("filter"), h("span", null, set ? t("find.filters.set", { n: set }) : t("find.filters")));
  }

  #show(ids, stay) {
    // Asked for before anything is changed: afterwards the browser would have to lay out at once.
    const top = stay ? 0 : $("rows").getBoundingClientRect().top;
    const edge = stay ? 0 : $("tools").getBoundingClientRect().bottom;
    this.list.show(ids);
    // Another question begins at its first answer.
    if (top < edge) scrollBy(0, top - edge);
  }

  #told(ids, filter) {
    const { catalogue } = this.page;
    const { state } = catalogue;
    const total = catalogue.isFirst(filter) ? catalogue.first.total : ids.length;
    const stale = filter.open || filter.order === "seats" || catalogue.renewed;
    put($("none"));
    if (state === "failed") {
      put($("none"), h("p", null, t("find.failed", { why: sentence(catalogue.problem) })), button(t("find.retry"), () => catalogue.load(catalogue.term, this.filter)));
    } else if (total === 0 && state === "ready" && catalogue.size === 0) {
      put($("none"), h("p", null, h("strong", null, t("find.empty"))), h("p", null, t("find.empty.do")));
    } else if (total === 0) {
      put($("none"), h("p", null, h("strong", null, t("find.none"))), h("p", null, t("find.none.do")),
        button(t("find.reset"), () => { this.#clear(); this.#changed(); }));
    }
    const text = state === "failed" && !ids.length ? "" : t(state === "partly" && !catalogue.isFirst(filter) ? "find.partly" : "find.count", { n: total });
    this.#tell(text, stale && (ids.length > 0 || catalogue.renewed) && button(t("find.again"), () => this.search(), { class: "plain" }));
  }

  #tell(text, ...more) {
    const key = `${text} ${more.length && Boolean(more[0])} ${now.language}`;
    if ($("found").dataset.key === key) return;
    $("found").dataset.key = key;
    put($("found"), text, " ", more);
    this.#say(text);
  }

  #changed() {
    this.search();
    this.#write();
  }

  #clear() {
    $("q").value = "";
    $("subject").value = "";
    $("open").checked = false;
    for (const box of this.form.querySelectorAll("[name=day]")) box.checked = false;
  }

  #drawDays() {
    const chosen = new Set(this.form.querySelectorAll("[name=day]:checked").length ? this.filter.days : []);
    put($("days"), DAYS.map((one) => h("label", { class: "chip" },
      h("input", { type: "checkbox", name: "day", value: one, checked: chosen.has(one), "aria-label": day(one, "long") }), h("span", { "aria-hidden": "true" }, day(one)))));
  }

  #drawSubjects(anew) {
    const { catalogue } = this.page;
    const chosen = $("subject").value || this.wanted || "";
    const all = ["ready", "partly"].includes(catalogue.state) ? catalogue.subjects : chosen ? [chosen] : [];
    if (chosen && !all.includes(chosen) && catalogue.state !== "ready") all.unshift(chosen);
    const key = String(all);
    if (!anew && this.#subjects === key) return;
    this.#subjects = key;
    put($("subject"), h("option", { value: "" }, t("find.subject.all")), all.map((one) => h("option", { value: one, selected: one === chosen }, one)));
    this.wanted = undefined;
  }

  #fromAddress() {
    this.#address = location.search;
    const given = new URLSearchParams(location.search);
    $("q").value = given.get("q") ?? "";
    this.wanted = (given.get("subject") ?? "").toUpperCase();
    this.#drawSubjects(true);
    $("open").checked = given.get("open") === "true";
    $("order").value = ["time", "seats"].includes(given.get("order")) ? given.get("order") : "course";
    const days = (given.get("days") ?? "").split(",");
    for (const box of this.form.querySelectorAll("[name=day]")) box.checked = days.includes(box.value);
  }

  #toAddress() {
    const { q, subject, days, open, order } = this.filter;
    const fields = { term: this.page.catalogue.term, q, subject, days: days.join(","), open: open && "true", order: order !== "course" && order };
    const given = Object.entries(fields).filter(([, value]) => value);
    history.replaceState(null, "", `${given.length ? `?${new URLSearchParams(given)}` : location.pathname}${location.hash}`);
    this.#address = location.search;
    this.#term = fields.term;
  }

  /** Arrows go through the rows. (A letter alone does nothing anywhere: WCAG 2.1.4.) */
  #key(event) {
    if (["ArrowDown", "ArrowUp"].includes(event.key) && (event.target === $("q") || $("rows").contains(event.target))) {
      if (this.list.step(event.target === $("q") ? 0 : event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
      else if (event.key === "ArrowUp") $("q").focus();
    }
  }
}
