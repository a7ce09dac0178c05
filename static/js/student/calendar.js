// "Add to calendar": the schedule as a file, and a private link from which calendar programs update by themselves.

import { copyText } from "../clipboard.js";
import { $, button, h, put } from "../dom.js";
import { api } from "../api.js";
import { i18n, onLanguage, t } from "../i18n.js";
import { dateTime, problemText } from "../words.js";

const FEED = "/api/v1/me/schedule-feed";

/** Returns the address of a calendar in the language of the page. */
const inLanguage = (url) => `${url}?lang=${i18n.language}`;

export class CalendarLinks {
  /** The arguments of the last `#draw`, or null. */
  #shown = null;

  constructor() {
    this.feed = h("div");
    this.status = h("p", { role: "status" });
    this.details = h("details", { ontoggle: () => this.details.open && this.#load() });
    put($("calendar"), this.details);
    onLanguage(() => this.#build());
    this.#build();
  }

  /** Closes the part, because another student is shown. */
  close() {
    this.details.open = false;
  }

  #build() {
    put(this.details, h("summary", null, t("calendar.title")),
      h("p", null, h("a", { class: "button", href: inLanguage("/api/v1/me/schedule.ics"), download: true }, t("calendar.download"))),
      h("p", { class: "none" }, t("calendar.about")), this.feed, this.status);
    put(this.feed);
    put(this.status);
    // A link that was just created stays in another language: the hub does not return it again.
    if (this.details.open && this.#shown) this.#draw(...this.#shown);
  }

  async #load() {
    this.#shown = null;
    await this.#run(async () => this.#draw((await api.get(FEED)).created_at));
  }

  /** Shows the buttons; `url` is the address of a feed that was just created. */
  #draw(since, url) {
    this.#shown = [since, url];
    put(this.feed,
      url ? made(url)
        : since && h("p", null, t("calendar.since", { at: dateTime(since) })),
      button(t(since ? "calendar.replace" : "calendar.make"), () => this.#run(async () => {
        const { url: address } = await api.post(FEED, {});
        this.#draw(new Date().toISOString(), inLanguage(address));
      }), { class: "quiet" }),
      since && button(t("calendar.end"), () => this.#run(async () => {
        await api.delete(FEED);
        this.#draw(null);
        put(this.status, t("calendar.ended"));
      }), { class: "quiet" }));
  }

  async #run(work) {
    const { epoch } = api;
    put(this.status);
    this.status.className = "";
    try {
      await work();
    } catch (problem) {
      if (epoch !== api.epoch) return;
      this.status.className = "stop";
      put(this.status, problemText(problem));
    }
  }
}

/**
 * Returns the address of a feed that was just created, with a button that copies it: on a phone, it is hard to select.
 */
function made(url) {
  const copied = h("span", { role: "status" });
  const copy = async () => put(copied, t(await copyText(url) ? "calendar.copied" : "calendar.not_copied"));
  return h("div", null, h("p", { class: "good" }, t("calendar.made")), h("p", null, h("code", null, url)),
    h("p", { class: "inline" }, button(t("calendar.copy"), copy), copied), h("p", { class: "none" }, t("calendar.how")));
}
