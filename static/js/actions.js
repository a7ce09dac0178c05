// What can be done with a section, where its button stands: the question, "Adding…", the answer and the next step.

import { button, h, put } from "./dom.js";
import { seats as seatWords, standing } from "./words.js";

export class Actions {
  #sure = new Set();

  /** `page`: `{user, terms, seats, book, mine, plan, find(course), redraw(id)}`. */
  constructor(page) {
    this.page = page;
  }

  /** The newest numbers and status of a section. */
  numbers(id) {
    const section = this.page.book.get(id);
    return { ...section, ...this.page.seats.get(id) };
  }

  /** Draws the action of a section into `el`, only when it would be another one: a button never changes under a finger. */
  draw(el, id, { planned = false } = {}) {
    const { mine, terms, plan, user } = this.page;
    const held = mine.get(id);
    const doing = mine.doing(id);
    const answer = mine.answer(id);
    const { kind } = seatWords(this.numbers(id), this.page.book.get(id)?.status);
    const key = JSON.stringify([held?.status, held?.position, doing, answer, kind, terms.open, plan.has(id), planned,
      this.#sure.has(id), user()?.username]);
    if (el.dataset.key === key) return;
    el.dataset.key = key;
    put(el, user()?.role === "student" && [
      held && !doing && this.#standing(held, answer),
      h("span", { class: "press" }, doing ?? (held ? !planned && this.#held(id, held) : this.#free(id, kind, planned))),
      !held && !doing && answer && h("span", { class: `answer ${answer.tone}` }, answer.text, " ", this.#next(id, answer)),
    ]);
  }

  /** What is held; an answer that says more takes its place. */
  #standing(held, answer) {
    const tone = held.status === "enrolled" ? "good" : "careful";
    return h("span", { class: answer?.tone ?? tone }, answer?.text ?? standing(held));
  }

  #held(id, { status }) {
    const { mine } = this.page;
    const verb = status === "enrolled" ? "Drop" : "Leave the line";
    if (!this.#sure.has(id)) return button(verb, () => this.#ask(id, true), { class: "quiet", "aria-label": `${verb} ${this.page.book.name(id)}` });
    return [status === "enrolled" ? "Your seat goes to somebody else. " : "Your place goes to somebody else. ",
      button(verb, () => { this.#sure.delete(id); mine.drop(id); }, { class: "danger" }), " ", button("Keep it", () => this.#ask(id, false))];
  }

  #ask(id, sure) {
    if (sure) this.#sure.add(id);
    else this.#sure.delete(id);
    this.page.redraw(id);
  }

  #free(id, kind, planned) {
    const { mine, terms, plan, book } = this.page;
    const label = (verb) => ({ "aria-label": `${verb} ${book.name(id)}` });
    const offered = mine.answer(id)?.next;
    // The next step of an answer stands in the place of the button that was pressed.
    const main = !terms.open || planned || ["again", "swap", "look"].includes(offered) ? null
      : kind === "open" ? button("Register", () => mine.register(id), { class: "primary", ...label("Register for") })
      : kind === "full" && offered !== "waitlist" ? button("Join the waitlist", () => mine.register(id, { waitlist: true }), label("Join the waitlist of"))
      : null;
    const toPlan = plan.has(id)
      ? button("Remove from plan", () => plan.remove(id), { class: "quiet", ...label("Remove from plan:") })
      : kind !== "cancelled" && button("Plan", () => plan.add(id), { class: "quiet", ...label("Plan") });
    return [main, " ", toPlan];
  }

  #next(id, { next, with: other }) {
    const { mine, plan, book, find } = this.page;
    switch (next) {
      case "waitlist": return button("Join the waitlist", () => mine.register(id, { waitlist: true }));
      case "swap": return mine.get(other) && button(`Swap with ${book.name(other)}`, () => mine.swap(id, other));
      case "others": return book.get(id) && button(`Other sections of ${book.get(id).course}`, () => find(book.get(id).course));
      case "plan": return !plan.has(id) && button("Plan it", () => plan.add(id));
      case "again": return button("Ask again", () => mine.register(id));
      case "look": return button("Look", () => mine.load().then(() => mine.settle(id)));
      default: return null;
    }
  }
}
