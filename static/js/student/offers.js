// Seats that are offered to the student from waitlists: each with its deadline, and one press to accept it.

import { $, button, h, put } from "../dom.js";
import { hubNow } from "../hub-clock.js";
import { i18n, t } from "../i18n.js";
import { icon } from "../icons.js";
import { dateTime, duration } from "../words.js";
import { waitTexts } from "./wait-choices.js";

/** The share of the offers that must be in sight for them to count as seen. */
const SEEN_SHARE = 0.5;

export class Offers {
  #key = "";
  #offers = "";
  #items = [];
  /**
   * On a phone, offers that were seen need no banner in the same view. It stays hidden until another offer arrives, so
   * that it does not appear under a finger while the page scrolls.
   */
  #sight = new IntersectionObserver((changes) => {
    if (changes.some(({ intersectionRatio }) => intersectionRatio >= SEEN_SHARE)) document.body.classList.add("offers-seen");
  }, { threshold: SEEN_SHARE });

  /** `page`: see main.js. */
  constructor(page) {
    this.page = page;
  }

  draw() {
    const { actions, catalogue, drops, registrations } = this.page;
    const offers = registrations.offers().filter(({ section }) => drops.left(section) === undefined);
    const shown = offers.map(({ section, expires_at, ...choices }) => ({
      section, expires_at, chosen: waitTexts(choices, catalogue.name), name: catalogue.name(section), pending: registrations.pending(section), why: actions.result(section),
    }));
    const key = JSON.stringify([shown.map(({ why, ...one }) => [one, why?.tone === "stop" && why.text]), i18n.language]);
    if (this.#key === key) return;
    this.#key = key;
    this.#items = shown.map((one) => this.#item(one));
    put($("offers"), this.#items.map(({ el }) => el));
    this.#watch(String(shown.map(({ section, expires_at }) => [section, expires_at])));
    this.tick();
  }

  /** Waits until the student sees these offers, if they differ from the earlier ones. */
  #watch(offers) {
    if (this.#offers === offers) return;
    this.#offers = offers;
    document.body.classList.remove("offers-seen");
    this.#sight.disconnect();
    if (offers) this.#sight.observe($("offers"));
  }

  /** Updates the time that is left, each second. An offer that has ended disappears. */
  tick() {
    for (const { el, left, until } of this.#items) {
      const ms = until - hubNow();
      const text = duration(ms);
      if (left.textContent !== text) left.textContent = text;
      el.hidden = ms <= 0;
    }
  }

  #item({ section, expires_at, chosen, name, pending, why }) {
    const { drops, registrations } = this.page;
    const left = h("span", { class: "left", role: "timer" });
    const labelled = (verb) => ({ "aria-label": t("action.for", { verb: t(verb), section: name }) });
    const act = pending ? h("span", { class: "pending" }, t(pending))
      : [button(t("action.accept"), () => registrations.accept(section), { class: "primary", ...labelled("action.accept") }),
        button(t("action.decline"), () => { registrations.clearResult(section); drops.start(section, "schedule"); }, { class: "quiet", ...labelled("action.decline") })];
    const el = h("li", { class: "offer" },
      h("p", { class: "with-icon" }, icon("clock"), h("strong", null, t("offer.title", { section: name }))),
      h("p", null, t("offer.until", { at: dateTime(expires_at) })),
      chosen.map((text) => h("p", null, text)),
      h("p", { class: "time-left" }, t("offer.left"), " ", left),
      h("p", { class: "inline" }, act),
      why?.tone === "stop" && !pending && h("p", { class: "stop" }, why.text));
    return { el, left, until: Date.parse(expires_at) };
  }
}
