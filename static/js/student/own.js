// What a student has that a visitor has not: loaded when a student is here, so that looking around needs none of it.

import { $ } from "../dom.js";
import { onLanguage } from "../i18n.js";
import { Actions } from "./actions.js";
import { standing } from "./answers.js";
import { Drops, unheard } from "./drops.js";
import { Mine } from "./mine.js";
import { MyTerm } from "./my-term.js";
import { Plan } from "./plan.js";
import { Speech } from "./speech.js";

/** After this another tab of the page has been shown. */
const SHOWN_MS = 60;

export class Own {
  #myTerm;

  /** `page`: see main.js; what is made here is shared there. `changed(ids, own)`: draws anew what may be another. */
  constructor(page, changed) {
    this.page = page;
    this.speech = new Speech(page);
    page.actions = new Actions(page);
    page.mine = new Mine(page, {
      onchange: (id) => changed(id && [id], true),
      onanswer: (ids) => page.say(ids.map((id) => this.#answered(id)).join(" ")),
      onclosed: () => page.terms.load().catch(() => {}),
    });
    page.drops = new Drops((id, options) => page.mine.drop(id, options), (id) => changed([id], true));
    page.plan = new Plan(page, (id) => changed(id && [id], true));
    this.#myTerm = new MyTerm(page);
    onLanguage(() => this.#myTerm.forget());
  }

  async load() {
    const { mine, plan } = this.page;
    await Promise.all([mine.load(), plan.load()]);
    // A page went away with these, and what it sent was not heard.
    for (const id of unheard()) if (mine.get(id)) mine.tell(id, "drop.unheard", "careful");
  }

  /** Somebody else is here. */
  forget() {
    const { drops, mine, plan } = this.page;
    drops.forget();
    mine.forget();
    plan.forget();
    this.turn();
  }

  /** Another term is looked at. */
  turn() {
    this.#myTerm.forget();
  }

  draw() {
    this.#myTerm.draw();
  }

  /** Whether a section is planned or held. */
  has(id) {
    return this.page.plan.has(id) || Boolean(this.page.mine.get(id));
  }

  /** What is in the week of this term: held, then planned. */
  week() {
    const { terms, mine, plan } = this.page;
    const term = terms.current?.id;
    const held = mine.inTerm(term).map(({ section }) => section);
    return [...held, ...plan.inTerm(term).filter((id) => !held.includes(id))];
  }

  /** What is planned and not held. */
  wanted() {
    const { terms, mine, plan } = this.page;
    return plan.inTerm(terms.current?.id).filter((id) => !mine.get(id));
  }

  /** Tries all of these in one press; on a phone the answers are brought into sight. */
  go(ids) {
    if (this.page.narrow.matches) {
      location.hash = "#term";
      setTimeout(() => $("lines").scrollIntoView(), SHOWN_MS);
    }
    return this.page.mine.all(ids);
  }

  #answered(id) {
    const { catalogue, actions, mine } = this.page;
    return `${catalogue.name(id)}: ${actions.said(id)?.text ?? standing(mine.get(id))}`.replace(/\.?$/, ".");
  }
}
