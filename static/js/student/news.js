// The college's news, as Plone has them. Nothing on the page waits for them; text is shown as text.

import { $, h, put } from "../dom.js";
import { onLanguage, t } from "../i18n.js";
import { moment } from "../words.js";

const REFRESH_MS = 5 * 60_000;
/** How long to wait before asking again after nothing came, and at first: a member's own copy may be on its way. */
const SOON_MS = 20_000;
const ANSWER_MS_MAX = 15_000;
/** From this age on the page says how old the news are. */
const OLD_S = 300;
/** How many are shown. */
const SHOWN = 20;

export class News {
  #timer = 0;
  #asked = 0;
  #items = [];
  #shown = "";

  constructor() {
    onLanguage(() => { this.#shown = ""; this.#draw(this.#items, 0); });
    this.load();
  }

  /** Asks for them; anew, when somebody else is here: what members see may differ. */
  async load(next = SOON_MS) {
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    try {
      const response = await fetch("/api/v1/announcements", { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
      if (!response.ok) throw new Error(response.status);
      const { items } = await response.json();
      if (asked === this.#asked) this.#draw(items, Number(response.headers.get("Age") ?? 0));
    } catch {
      // What is shown stays; without anything to show there is no such part of the page.
      next = SOON_MS;
    }
    if (asked === this.#asked) this.#timer = setTimeout(() => this.load(REFRESH_MS), next);
  }

  #draw(items, age) {
    this.#items = items;
    $("news").hidden = items.length === 0;
    put($("news-age"), age > OLD_S && t("news.old", { n: Math.round(age / 60) }));
    const version = items.map((item) => `${item.id} ${item.modified_at}`).join();
    if (this.#shown === version) return;
    this.#shown = version;
    put($("news-list"), items.slice(0, SHOWN).map(card));
  }
}

const card = ({ title, description, text, published_at, url }) => h("article", { class: "item" },
  h("h3", null, url ? h("a", { href: url }, title) : title),
  h("small", null, moment(published_at)),
  description && h("p", null, description),
  text && h("details", null, h("summary", null, t("news.more")), h("p", null, text)));
