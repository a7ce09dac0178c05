// The college's announcements, from Plone. No other part of the page waits for them. They are shown as plain text.

import { $, h, put } from "../dom.js";
import { api } from "../api.js";
import { onLanguage, t } from "../i18n.js";
import { Poller } from "../poll.js";
import { dateTime } from "../words.js";

const REFRESH_MS = 5 * 60_000;
/** The pause after a failure, and after the first read: the hub may still be fetching the member's own copy. */
const SOON_MS = 20_000;
/** From this age on the page shows how old the announcements are. */
const OLD_S = 300;
/** How many are shown. */
const SHOWN = 20;

export class Announcements {
  #items = [];
  #shown = "";
  /** Successful reads in a row for the current user. */
  #reads = 0;
  #poller = new Poller((signal) => this.#read(signal), {
    ms: () => this.#reads > 1 ? REFRESH_MS : SOON_MS,
    // The shown announcements stay. Without any, this part of the page stays hidden.
    onerror: () => { this.#reads = 0; },
  });

  constructor() {
    onLanguage(() => { this.#shown = ""; this.#draw(this.#items, 0); });
    this.load();
  }

  /** Reads the announcements. Called for each new user, too, since members may see others. */
  load() {
    this.#reads = 0;
    this.#poller.start();
  }

  async #read(signal) {
    let age = 0;
    const { items } = await api.get("/api/v1/announcements", { signal, onheaders: (headers) => { age = Number(headers.get("Age")); } });
    this.#reads += 1;
    this.#draw(items, age);
  }

  #draw(items, age) {
    this.#items = items;
    $("announcements").hidden = items.length === 0;
    put($("announcements-age"), age > OLD_S && t("announcements.age", { n: Math.round(age / 60) }));
    const version = items.map((item) => `${item.id} ${item.modified_at}`).join();
    if (this.#shown === version) return;
    this.#shown = version;
    put($("announcement-list"), items.slice(0, SHOWN).map(card));
  }
}

const card = ({ title, description, text, published_at, url }) => h("article", { class: "item" },
  h("h3", null, url ? h("a", { href: url }, title) : title),
  h("small", null, dateTime(published_at)),
  description && h("p", null, description),
  text && h("details", null, h("summary", null, t("announcements.more")), h("p", null, text)));
