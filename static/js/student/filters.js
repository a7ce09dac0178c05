// More filters of the section search: time of day, online, campus, credits, instructor, and what fits the schedule.

import { $, debounce, h, put } from "../dom.js";
import { fold } from "../catalogue.js";
import { i18n, number, t } from "../i18n.js";
import { isRemote } from "../words.js";

const TYPING_MS = 80;
/** The parts of a day, by the earliest and the latest start of a meeting. */
const TIMES = { morning: ["00:00", "11:59"], afternoon: ["12:00", "16:59"], evening: ["17:00", "24:00"] };
const MODES = ["online", "person"];

/** Returns whether a section has meetings with a time, and all of these start within a part of the day. */
const startsIn = ({ meetings = [] }, [from, to]) => {
  const timed = meetings.filter((one) => one.start);
  return timed.length > 0 && timed.every((one) => one.start >= from && one.start <= to);
};

export class Filters {
  #values = {};
  #options = "";

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
    this.el = $("filters-more");
    const changed = debounce(TYPING_MS, () => { this.#read(); page.finder.changed(); });
    this.el.addEventListener("input", (event) => { event.stopPropagation(); changed(); });
    this.draw();
  }

  toggle() {
    this.el.hidden = !this.el.hidden;
    $("more-filters").setAttribute("aria-expanded", !this.el.hidden);
    if (!this.el.hidden) this.el.querySelector("select").focus();
  }

  /** The filters that are set, for the address. */
  get fields() {
    return this.#values;
  }

  get count() {
    return Object.values(this.#values).filter(Boolean).length;
  }

  /** Returns a function that returns whether a section passes the filters; undefined if no filter is set. */
  predicate() {
    if (!this.count) return undefined;
    const { time, mode, campus, credits, instructor, fits } = this.#values;
    const words = fold(instructor ?? "").split(/\s+/).filter(Boolean);
    return (section) => (!time || startsIn(section, TIMES[time])) && (!mode || isRemote(section) === (mode === "online"))
      && (!campus || section.campus === campus) && (!credits || String(section.credits ?? 0) === credits)
      && (!words.length || words.every((word) => fold(section.instructor ?? "").includes(word)))
      && (!fits || !this.page.workspace || !this.page.actions.conflict(section.id));
  }

  /** Searches again if the list depends on the student's week, which was not known when the list was drawn. */
  weekLoaded() {
    if (this.#values.fits) this.page.finder.search({ keepScroll: true });
  }

  clear() {
    this.#values = {};
    this.draw();
  }

  fromAddress(given) {
    const one = (name, allowed) => allowed.includes(given.get(name)) ? given.get(name) : undefined;
    this.#values = { time: one("time", Object.keys(TIMES)), mode: one("mode", MODES), campus: given.get("campus") || undefined,
      credits: given.get("credits") || undefined, instructor: given.get("instructor")?.slice(0, 100) || undefined, fits: given.get("fits") ? "true" : undefined };
    if (this.count) this.el.hidden = false;
    $("more-filters").setAttribute("aria-expanded", !this.el.hidden);
    this.draw();
  }

  #read() {
    const of = (name) => this.el.querySelector(`[name=${name}]`);
    for (const name of ["time", "mode", "campus", "credits", "instructor"]) this.#values[name] = of(name).value.trim() || undefined;
    this.#values.fits = of("fits").checked ? "true" : undefined;
  }

  /** Draws the controls, in another language or with other values. */
  draw() {
    const { time, mode, instructor, fits } = this.#values;
    const select = (name, all, options, value) => h("label", null, h("span", null, t(`filter.${name}`)),
      h("select", { name }, h("option", { value: "" }, t(all)), options.map((one) => h("option", { value: one, selected: one === value }, t(`filter.${name}.${one}`)))));
    put(this.el, select("time", "filter.any", Object.keys(TIMES), time), select("mode", "filter.any", MODES, mode),
      select("campus", "filter.any", [], ""), select("credits", "filter.any", [], ""),
      h("label", null, h("span", null, t("filter.instructor")), h("input", { type: "text", name: "instructor", autocomplete: "off", maxlength: 100, value: instructor ?? "" })),
      h("label", { class: "check" }, h("input", { type: "checkbox", name: "fits", checked: Boolean(fits) }), t("filter.fits")));
    this.#options = "";
    this.drawOptions();
  }

  /** Draws the campuses and credits of the loaded sections. */
  drawOptions() {
    const { catalogue, workspace } = this.page;
    const key = [catalogue.term, catalogue.size, Boolean(workspace), i18n.language].join();
    if (this.#options === key) return;
    this.#options = key;
    const sections = catalogue.all.map(catalogue.get);
    const fill = (name, values, label) => {
      const el = this.el.querySelector(`[name=${name}]`);
      const chosen = this.#values[name];
      if (chosen && !values.includes(chosen)) values.push(chosen);
      put(el, h("option", { value: "" }, t("filter.any")), values.map((one) => h("option", { value: one, selected: one === chosen }, label(one))));
      el.parentElement.hidden = values.length < 2 && !chosen;
    };
    fill("campus", [...new Set(sections.map(({ campus }) => campus).filter(Boolean))].sort(), (one) => one);
    fill("credits", [...new Set(sections.map(({ credits }) => credits ?? 0))].sort((a, b) => a - b).map(String), (one) => number(Number(one)));
    // Only a student has a week.
    this.el.querySelector("[name=fits]").parentElement.hidden = !workspace;
  }
}
