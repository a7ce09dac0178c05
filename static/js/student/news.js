// The college's announcements, where there are any.

import { $, h, put } from "../dom.js";
import { onLanguage } from "../i18n.js";
import { moment } from "../words.js";

/** How many are shown. */
const SHOWN = 10;

export class News {
  #items = [];

  constructor() {
    onLanguage(() => this.#draw());
  }

  /** Asks for them; a hub without any says so, and then nothing is shown. */
  async load() {
    try {
      const answer = await fetch("/api/v1/announcements");
      if (!answer.ok) return;
      this.#items = (await answer.json()).items ?? [];
      this.#draw();
    } catch { /* News can wait for the next visit. */ }
  }

  #draw() {
    $("news").hidden = this.#items.length === 0;
    put($("news-list"), this.#items.slice(0, SHOWN).map((item) =>
      h("article", { class: "item" }, h("h3", null, item.title), h("p", null, item.text), h("footer", null, moment(item.published_at)))));
  }
}
