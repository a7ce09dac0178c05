// The college's news, as Plone has them. Nothing on the page waits for them; text is shown as text.

import { $, h, put } from "./dom.js";
import { count, moment } from "./words.js";

const REFRESH_MS = 5 * 60_000;
/** How long to wait before asking again after nothing came, and at first: a member's own copy may be on its way. */
const SOON_MS = 20_000;
const ANSWER_MS_MAX = 15_000;
/** From this age on the page says how old the news are. */
const OLD_S = 300;

export class News {
  #timer = 0;
  #asked = 0;
  #shown = "";

  /** Somebody else is here: what members see may differ. */
  arrive() {
    this.#load(SOON_MS);
  }

  async #load(next) {
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
    if (asked === this.#asked) this.#timer = setTimeout(() => this.#load(REFRESH_MS), next);
  }

  #draw(items, age) {
    $("news-view").hidden = $("news-link").hidden = items.length === 0;
    put($("news-age"), age > OLD_S && `As the college had them ${count(Math.round(age / 60), "minute")} ago.`);
    const version = items.map((item) => `${item.id} ${item.modified_at}`).join();
    if (this.#shown === version) return;
    this.#shown = version;
    put($("news-list"), items.map(card));
  }
}

const card = ({ title, description, text, published_at, url }) => h("article", null,
  h("h3", null, h("a", { href: url }, title)),
  h("small", null, moment(published_at)),
  description && h("p", null, description),
  text && h("details", null, h("summary", null, "Read it here"), h("p", null, text)));
