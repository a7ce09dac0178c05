// The page of one section, which has its own address, and can be shared and printed.

import { copyText } from "../clipboard.js";
import { $, button, h, put } from "../dom.js";
import { query } from "../api.js";
import { i18n, t } from "../i18n.js";
import { icon } from "../icons.js";
import { drawSeats } from "../seat-cell.js";
import { componentName } from "../words.js";
import { details, drawForVisitor, drawTaken } from "./row.js";

/** Returns the address of a section's page. */
export const sectionAddress = ({ id, term }) => `/${query({ term, section: id })}`;

export class SectionPage {
  /** The id of the section that is shown. */
  shown = null;
  #drawn = "";
  #parts = null;

  /** `page`: see main.js; `watch`: the watches for seats. */
  constructor(page, watch) {
    Object.assign(this, { page, watch, el: $("section-page") });
    // On a phone, the view Find begins with the list.
    document.querySelector("#views [href='#find']").addEventListener("click", () => this.shown && this.#leave());
  }

  /** Opens the page of a section, with an entry in the browser's history. */
  open(id) {
    history.pushState(null, "", sectionAddress({ id, term: this.page.catalogue.get(id).term }) + location.hash);
    this.page.finder.addressChanged();
    this.show(id);
    scrollTo(0, 0);
    this.el.querySelector("h3")?.focus({ preventScroll: true });
  }

  /** Shows a section, or the list for null. */
  async show(id) {
    this.shown = id || null;
    this.el.hidden = !this.shown;
    if (!this.shown) document.title = t("page.title");
    document.body.classList.toggle("section-open", Boolean(this.shown));
    this.redraw();
    if (!id || this.page.catalogue.get(id)) return;
    put(this.el, h("p", { role: "status" }, t("find.loading")));
    await this.page.catalogue.ensure([id]);
    if (this.shown === id) this.redraw();
  }

  #close() {
    const id = this.shown;
    this.#leave();
    this.page.finder.focusRow(id);
  }

  /** Shows the list instead. */
  #leave() {
    this.show(null);
    this.page.finder.changed();
  }

  /** Draws everything again. */
  redraw() {
    this.#drawn = "";
    this.draw();
  }

  /** Draws what has changed. */
  draw() {
    const { page, shown: id } = this;
    if (!id) return;
    const section = page.catalogue.get(id);
    const back = button(t("section.back"), () => this.#close(), { class: "quiet" });
    if (!section) {
      if (["loading", "first"].includes(page.catalogue.state) || this.#drawn === "unknown") return;
      this.#drawn = "unknown";
      return put(this.el, back, h("p", { class: "stop", role: "status" }, t("section.unknown", { id })));
    }
    const key = [id, Boolean(page.workspace), i18n.language, section.status, page.numbers(id).open > 0].join();
    if (this.#drawn !== key) {
      this.#drawn = key;
      document.title = `${section.course} (${section.crn}) - EduHub`;
      const parts = this.#parts = { seats: h("div", { class: "seats" }), act: h("p", { class: "act no-print" }), result: h("div", { class: "result no-print" }) };
      const copied = h("span", { role: "status" });
      const { current } = page.terms;
      const url = location.origin + sectionAddress(section);
      const copy = async () => put(copied, await copyText(url) ? t("section.copied") : url);
      const [title, ...facts] = details(section, { catalogue: page.catalogue, finder: page.finder });
      put(this.el, h("div", { class: "inline no-print" }, back, button(t("section.copy"), copy, { class: "quiet" }),
        button([icon("print"), " ", t("section.print")], () => print(), { class: "quiet" }), copied),
      h("p", { class: "print-only", dir: "auto" }, current?.id === section.term && current.title || section.term),
      h("h3", { tabindex: "-1" }, section.course, " ", h("span", { class: "kind" }, [section.section, componentName(section)].filter(Boolean).join(" "))),
      title, parts.seats, parts.act, parts.result, h("p", { class: "watch no-print" }, this.watch.button(section)), facts);
    }
    const { seats, act, result } = this.#parts;
    drawSeats(seats, page.numbers(id), section.status);
    drawTaken(this.el, page.numbers(id));
    if (!page.workspace) return drawForVisitor(act, section, page);
    page.actions.draw(act, id, "row", Boolean(page.actions.conflict(id)));
    page.actions.drawResult(result, id, "row", true);
  }
}
