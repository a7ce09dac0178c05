// The "Terms" view: a card for each term, and the form that adds a term, or edits one in its card.

import { $, h, markInvalid, put } from "../dom.js";
import { api } from "../api.js";
import { fromCollegeTime, toCollegeTime, zoneName } from "../college-time.js";
import { contentsOf, fillIn } from "../forms.js";
import { hubNow } from "../hub-clock.js";
import { t } from "../i18n.js";
import { TermCard } from "./term-card.js";

const path = (id) => `/api/v1/terms/${encodeURIComponent(id)}`;
/** Browser timers are limited to about 24 days, so a longer wait is divided. */
const TIMER_MS_MAX = 3_600_000;
const isoTime = (value) => fromCollegeTime(value)?.toISOString();
/** Converts seconds to minutes with up to two decimals, so that whole seconds survive a round trip through the form. */
const toMinutes = (seconds) => seconds ? String(Math.round(seconds / 60 * 100) / 100) : "";
const toSeconds = (minutes) => minutes ? Math.round(Number(minutes) * 60) : undefined;

export class TermEditor {
  #terms = [];
  /** The cards by the ids of their terms. They stay while a term changes, and with them a question or the form. */
  #cards = new Map();
  /** The card that the form is in; null if it adds a term. */
  #edited = null;
  /** The entries for a new term from before the form moved into a card; null while the form is below the cards. */
  #added = null;
  #timer = 0;

  /** `read()` reads the terms again and shows them (`show`). It is called after a term was saved. */
  constructor(read) {
    this.read = read;
    this.form = $("term-form");
    this.status = this.form.querySelector("span[role=status]");
    this.form.addEventListener("submit", (event) => this.#submit(event));
    // The page was opened again: the form was in this card.
    this.form.elements.card.addEventListener("input", ({ target }) => this.#place(this.#cards.get(target.value) ?? null));
    for (const type of ["input", "reset"]) this.form.addEventListener(type, () => { this.#drawPast(); this.#drawModes(); });
    $("term-add-open").addEventListener("click", () => { this.#home(); this.form.elements.id.focus(); });
    $("term-cancel").addEventListener("click", () => this.#leave());
  }

  /** Shows the terms of a response. */
  show({ items }) {
    put($("zone"), zoneName());
    put($("term-ids"), items.map((term) => h("option", { value: term.id }, term.title)));
    this.#terms = items;
    this.#draw();
  }

  #draw() {
    const ids = this.#terms.map(({ id }) => id);
    if (this.#edited && !ids.includes(this.#edited.id)) this.#home();
    for (const term of this.#terms) {
      if (!this.#cards.has(term.id)) this.#cards.set(term.id, new TermCard(term.id, { save: (...all) => this.#save(...all), edit: (card) => this.#edit(card) }));
      this.#cards.get(term.id).draw(term);
    }
    for (const id of this.#cards.keys()) if (!ids.includes(id)) this.#cards.delete(id);
    const cards = ids.map((id) => this.#cards.get(id).el);
    // Elements that move lose the focus.
    if (cards.some((el, i) => $("terms").children[i] !== el) || $("terms").children.length !== cards.length) put($("terms"), cards);
    $("no-terms").hidden = cards.length > 0;
    this.#drawModes();
    this.#scheduleDraw();
  }

  /** Draws the terms again when the next of them opens or closes. */
  #scheduleDraw() {
    clearTimeout(this.#timer);
    const waits = this.#terms.flatMap(({ opens_at, closes_at }) => [opens_at, closes_at])
      .map((at) => at ? Date.parse(at) - hubNow() : 0).filter((ms) => ms > 0);
    if (!waits.length) return;
    const ms = Math.min(...waits);
    this.#timer = setTimeout(() => {
      if (ms > TIMER_MS_MAX) return this.#scheduleDraw();
      for (const card of this.#cards.values()) card.switched();
      this.#draw();
    }, Math.min(ms, TIMER_MS_MAX));
  }

  /** Shows that an opening time in the past opens registration at once, unless it is open already. */
  #drawPast() {
    const opens = fromCollegeTime(this.form.elements.opens_at.value);
    const text = opens && opens.getTime() <= hubNow() && !this.#edited?.isOpen ? t("terms.past") : "";
    if ($("past-opening").textContent !== text) put($("past-opening"), text);
  }

  /** Draws the choice for free seats. A new term has no setting to keep: without a choice, it gets the college's. */
  #drawModes() {
    const { id, waitlist } = this.form.elements;
    const isNew = !this.#terms.some((term) => term.id === id.value.trim());
    const [none, college] = waitlist.options;
    college.hidden = isNew;
    none.textContent = t(isNew ? "terms.waitlist.college" : "terms.waitlist.keep");
  }

  /** Puts the form into this card, or back below the cards if it is null. */
  #place(card) {
    this.#edited = card;
    this.form.elements.card.value = card?.id ?? "";
    (card?.place ?? $("term-add")).append(this.form);
    this.form.elements.id.closest("label").hidden = Boolean(card);
    $("term-add").querySelector("h3").hidden = Boolean(card);
    $("term-add-open").hidden = !card;
    $("term-cancel").hidden = !card;
    this.#drawModes();
  }

  /** Puts the form back below the cards, with the entries that it had there. */
  #home() {
    this.form.reset();
    this.status.classList.remove("stop");
    put(this.status);
    this.#place(null);
    if (this.#added) fillIn(this.form, this.#added);
    this.#added = null;
    this.#drawPast();
  }

  /** Closes the form without saving. */
  #leave() {
    const card = this.#edited;
    this.#home();
    card?.editButton.focus();
  }

  #edit(card) {
    const { term } = card;
    const { id, title, opens_at, closes_at, waitlist, offer_s, offer_first_day_s, waitlist_priority } = this.form.elements;
    for (const one of [card.status, this.status]) put(one);
    if (!this.#edited) this.#added = contentsOf(this.form);
    id.value = term.id;
    waitlist_priority.value = (term.waitlist_priority ?? []).join(", ");
    waitlist.value = term.waitlist ?? (term.offer_s || term.offer_first_day_s ? "" : "college");
    offer_s.value = toMinutes(term.offer_s);
    offer_first_day_s.value = toMinutes(term.offer_first_day_s);
    title.value = term.title ?? "";
    opens_at.value = toCollegeTime(term.opens_at);
    closes_at.value = toCollegeTime(term.closes_at);
    this.#place(card);
    this.#drawPast();
    title.focus();
  }

  async #submit(event) {
    event.preventDefault();
    const { id, title, opens_at, closes_at, waitlist, offer_s, offer_first_day_s, waitlist_priority } = this.form.elements;
    // The college's settings apply: the mode and the times.
    const offers = waitlist.value === "college" ? { waitlist: null, offer_s: null, offer_first_day_s: null }
      : { waitlist: waitlist.value || undefined, offer_s: toSeconds(offer_s.value), offer_first_day_s: toSeconds(offer_first_day_s.value) };
    const groups = waitlist_priority.value.split(",").map((group) => group.trim()).filter(Boolean);
    // A blank field removes the groups only if it showed them before.
    const priority = groups.length || this.#edited ? groups : undefined;
    // A time that was removed in the card is no longer set.
    const time = ({ value }) => isoTime(value) ?? (this.#edited ? null : undefined);
    const body = { title: title.value.trim() || undefined, opens_at: time(opens_at), closes_at: time(closes_at), waitlist_priority: priority, ...offers };
    await this.#save(id.value.trim(), body, this.status);
  }

  /** Saves a term. `status`, in a card or in the form, shows the progress and the result. */
  async #save(id, body, status) {
    const isForm = status === this.status;
    const card = isForm && this.#edited;
    status.classList.remove("stop");
    put(status, t("save.pending"));
    try {
      await api.put(path(id), body);
    } catch (problem) {
      status.classList.add("stop");
      put(status, problem.message);
      const wrong = isForm && this.form.elements[problem.field];
      if (wrong) markInvalid(wrong, status);
      return;
    }
    await this.read().catch(() => { /* The terms are read again after the next change. */ });
    // The new term is saved, although a card was opened in the meantime.
    if (isForm && !card) this.#added = null;
    // The form closes once its card shows what was saved, unless another card was opened in the meantime.
    if (card && this.#edited === card) this.#leave();
    // The term that was added has a card now. The form is empty for the next one.
    if (isForm && !card && !this.#edited) {
      this.form.reset();
      this.#drawModes();
      this.#drawPast();
    }
    put(card ? card.status : status, t("save.done"));
  }
}
