// Features that few visits need, loaded on request: more filters, the page of one section, and watches for seats.

import { h } from "../dom.js";
import { onLanguage, t } from "../i18n.js";
import { Filters } from "./filters.js";
import { SectionPage, sectionAddress } from "./section-page.js";
import { Watch } from "./watch.js";

export class More {
  /** `page`: see main.js. `changed(ids)` schedules a redraw. */
  constructor(page, changed) {
    this.watch = new Watch(page);
    this.filters = new Filters(page);
    this.sectionPage = new SectionPage(page, this.watch);
    onLanguage(() => { this.filters.draw(); this.sectionPage.redraw(); changed(null); });
    this.fromAddress();
    page.more = this;
    page.finder.search({ keepScroll: true });
    changed(null);
  }

  /** The parts of the address that name the additional filters and the section shown. */
  get fields() {
    return { ...this.filters.fields, section: this.sectionPage.shown };
  }

  fromAddress() {
    const given = new URLSearchParams(location.search);
    this.filters.fromAddress(given);
    this.sectionPage.show(given.get("section"));
  }

  /** Draws the parts again after each change to seats or registrations. */
  draw() {
    this.filters.drawOptions();
    this.sectionPage.draw();
    this.watch.seatsChanged();
  }

  /** Returns the actions that are shown beside a section's details. */
  actions(section) {
    const onclick = (event) => {
      // A new tab, a new window or a download is up to the browser.
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.sectionPage.open(section.id);
    };
    return [h("a", { class: "button", href: sectionAddress(section), onclick }, t("section.page")), this.watch.button(section)];
  }
}
