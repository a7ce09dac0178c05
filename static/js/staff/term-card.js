// A term in the "Terms" view: its registration window, opening and closing it now, and the place of the form that edits
// it.

import { button, h, put, SETTLE_MS } from "../dom.js";
import { hubNow } from "../hub-clock.js";
import { t } from "../i18n.js";
import { dateTime } from "../words.js";

/** The closing times that Close now replaced in this browser, by term. */
const CLOSING_KEY = "eduhub.closing";

export class TermCard {
  #shown = "";
  /** When a term last opened or closed on its own, by `performance.now()`. */
  #switchedAt = -Infinity;

  /**
   * `save(id, body, status)` changes the term and says in `status` how it went; `edit(card)` opens the form in this
   * card.
   */
  constructor(id, { save, edit }) {
    Object.assign(this, { id, save, edit });
    this.heading = h("h3", { dir: "auto" });
    this.state = h("span");
    this.window = h("dl");
    this.status = h("span", { role: "status" });
    this.actions = h("div", { class: "inline" });
    this.place = h("div");
    this.el = h("li", { class: "term-card" }, h("div", { class: "head" }, this.heading, this.state), this.window, this.actions, this.status, this.place);
  }

  /** Shows the term as of now. A question stays unless what it asks about has changed. */
  draw(term) {
    this.term = term;
    const now = hubNow();
    const [opens, closes] = [term.opens_at, term.closes_at].map((at) => at ? Date.parse(at) : null);
    this.isOpen = opens !== null && opens <= now && (closes === null || now < closes);
    const state = this.isOpen ? "open" : opens > now ? "soon" : "closed";
    const shown = JSON.stringify([term.title, term.opens_at, term.closes_at, state]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    put(this.heading, term.title || term.id, " ", h("small", null, term.id));
    this.state.className = this.isOpen ? "good" : "";
    put(this.state, t(`terms.state.${state}`));
    const time = (at) => h("dd", null, dateTime(at) || t("terms.unset"));
    put(this.window, h("div", null, h("dt", null, t("terms.head.opens")), time(term.opens_at)), h("div", null, h("dt", null, t("terms.head.closes")), time(term.closes_at)));
    this.#showActions();
  }

  /**
   * Records that a term opened or closed on its own, which may change the button of this card. A press just afterward
   * was meant for the old button.
   */
  switched() {
    this.#switchedAt = performance.now();
  }

  #showActions() {
    const settled = () => performance.now() - this.#switchedAt > SETTLE_MS;
    this.first = button(t(this.isOpen ? "terms.close" : "terms.open"), () => settled() && (this.isOpen ? this.#close() : this.#open()));
    this.editButton = button(t("terms.edit"), () => this.edit(this), { class: "quiet", "aria-label": t("terms.edit.of", { term: this.term.title || this.id }) });
    put(this.actions, this.first, this.editButton);
  }

  #close() {
    const { id, term } = this;
    const name = term.title || id;
    this.#confirm({
      text: `${term.closes_at ? t("terms.close.instead", { term: name, at: dateTime(term.closes_at) }) : t("terms.close.text", { term: name })} ${t("terms.close.keep")}`,
      label: t("terms.close.yes"),
      body: () => {
        remember(id, term.closes_at);
        return { closes_at: pressedAt() };
      },
    });
  }

  #open() {
    const { id, term } = this;
    const name = term.title || id;
    const before = remembered()[id];
    // A closing time that has passed would keep the term closed.
    const restored = Date.parse(before) > hubNow() ? before : null;
    const isPast = Date.parse(term.closes_at) <= hubNow();
    const end = isPast ? restored : term.closes_at;
    this.#confirm({
      text: `${Date.parse(term.opens_at) > hubNow() ? t("terms.open.instead", { term: name, at: dateTime(term.opens_at) }) : t("terms.open.text", { term: name })} ${end ? t("terms.open.until", { at: dateTime(end) }) : t("terms.open.no_end")}`,
      label: t("terms.open.yes"),
      body: () => ({ opens_at: pressedAt(), ...(isPast ? { closes_at: restored } : {}) }),
    });
  }

  /**
   * Replaces the buttons of the card with a question and its two answers. The button that confirms is enabled after a
   * moment.
   */
  #confirm({ text, label, body }) {
    put(this.status);
    const confirm = button(label, () => { this.#showActions(); this.save(this.id, body(), this.status); }, { class: "primary", disabled: true });
    setTimeout(() => { confirm.disabled = false; }, SETTLE_MS);
    const back = button(t("sent.cancel"), () => { this.#showActions(); this.first.focus(); }, { class: "quiet" });
    const question = h("p", { class: "question", tabindex: "-1" }, text);
    put(this.actions, question, confirm, back);
    question.focus();
  }
}

/** Returns the time of the press, which may be long after the card was drawn. */
const pressedAt = () => new Date(hubNow()).toISOString();

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(CLOSING_KEY)) ?? {};
  } catch {
    return {};
  }
}

/** Remembers the closing time that Close now replaces, so that Open now can restore it. */
function remember(id, closesAt) {
  try { localStorage.setItem(CLOSING_KEY, JSON.stringify({ ...remembered(), [id]: closesAt ?? undefined })); } catch { /* Storage is unavailable. */ }
}
