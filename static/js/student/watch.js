// Watches: says when a seat opens in a section, in the page and by a notification of the browser. Stored in the
// browser; a watch works while the page is open.

import { button } from "../dom.js";
import { t } from "../i18n.js";
import { showNote } from "../session.js";

const KEY = "eduhub.watch";
/** Maximum number of sections that one browser watches. */
const WATCHES_MAX = 30;

export class Watch {
  #ids = new Set(stored());
  /** By watched section whose seats are known: whether one was open at the last change. */
  #open = new Map();

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
    // Another tab may change the watches.
    addEventListener("storage", ({ key }) => { if (key === KEY) this.#ids = new Set(stored()); });
  }

  has(id) {
    return this.#ids.has(id);
  }

  /**
   * Returns a button that starts and ends the watch of a section; null if the section is not watched and has open seats
   * or is cancelled.
   */
  button(section) {
    const isNeeded = section.status !== "cancelled" && !(this.page.numbers(section.id).open > 0);
    if (!isNeeded && !this.has(section.id)) return null;
    const label = () => t(this.has(section.id) ? "watch.on" : "watch.off");
    const el = button(label(), async () => {
      this.#toggle(section.id);
      el.textContent = label();
      if (this.has(section.id)) await this.#start(section.id);
    }, { class: "quiet" });
    return el;
  }

  #toggle(id) {
    if (!this.#ids.delete(id)) {
      if (this.#ids.size >= WATCHES_MAX) return showNote(t("watch.max", { n: WATCHES_MAX }));
      this.#ids.add(id);
    }
    try {
      if (this.#ids.size) localStorage.setItem(KEY, JSON.stringify([...this.#ids]));
      else localStorage.removeItem(KEY);
    } catch { /* Storage is unavailable: the watch ends with this page. */ }
  }

  /** Says what to expect, and asks the browser for permission. The browser's prompt may stay open for a long time. */
  async #start(id) {
    // A seat that is open already is not reported.
    this.#open.set(id, this.page.numbers(id).open > 0);
    const show = (permission) => showNote(t(`watch.started.${permission}`, { section: this.page.catalogue.name(id) }), "watch");
    let permission = "denied";
    try { ({ permission } = Notification); } catch { /* This browser has none. */ }
    show(permission);
    if (permission !== "default") return;
    try { permission = await Notification.requestPermission(); } catch { permission = "denied"; }
    // A seat may have opened in the meantime, and the page says so.
    if (this.has(id) && !this.#open.get(id)) show(permission);
  }

  /** Reports each watched section that has an open seat and, as far as this page knew, had none before. */
  seatsChanged() {
    for (const id of this.#ids) {
      if (!this.page.catalogue.get(id)) continue;
      const isOpen = this.page.numbers(id).open > 0;
      const wasOpen = this.#open.get(id);
      this.#open.set(id, isOpen);
      if (isOpen && !wasOpen) this.#notify(id);
    }
  }

  #notify(id) {
    const text = t("watch.opened", { section: this.page.catalogue.name(id), n: this.page.numbers(id).open });
    const show = () => this.page.more.sectionPage.open(id);
    showNote(text, "watch", button(t("watch.show"), show, { class: "primary" }));
    this.page.announce(text);
    try {
      if (Notification.permission !== "granted") return;
      const notification = new Notification(text, { tag: `seat ${id}` });
      notification.onclick = () => { focus(); show(); notification.close(); };
    } catch { /* Some phones show notifications only for installed pages. */ }
  }
}

function stored() {
  try { return JSON.parse(localStorage.getItem(KEY)) ?? []; } catch { return []; }
}
