// Everything that only a student has: registrations, plan and schedule. Visitors do not load these modules.

import { $, openView } from "../dom.js";
import { Actions } from "./actions.js";
import { Drops, takeUnconfirmed } from "./drops.js";
import { drawHolds } from "./holds.js";
import { Offers } from "./offers.js";
import { statusText } from "./outcomes.js";
import { OwnSeats } from "./own-seats.js";
import { Plan } from "./plan.js";
import { PlanCheck } from "./plan-check.js";
import { Registrations } from "./registrations.js";
import { Schedule } from "./schedule.js";
import { ScreenReader } from "./screen-reader.js";

export class Workspace {
  #schedule;
  #offers;
  /** The sections that were planned and not registered at the last change to the plan. */
  #planned = "";

  /** `page`: see main.js; the parts created here are added to it. `changed(ids, mine)` schedules a redraw. */
  constructor(page, changed) {
    this.page = page;
    this.ownSeats = new OwnSeats(page, (id) => changed([id]));
    this.screenReader = new ScreenReader(page);
    page.actions = new Actions(page);
    page.registrations = new Registrations(page, {
      onchange: (id) => changed(id && [id], true),
      onresult: (ids) => page.announce(ids.map((id) => this.#resultText(id)).join(" ")),
      onclosed: () => page.terms.load().catch(() => {}),
    });
    page.drops = new Drops((id, options) => page.registrations.drop(id, options), (id) => changed([id], true));
    page.plan = new Plan(page, (id) => {
      page.planCheck.clear({ headline: this.#isPlanChanged() });
      changed(id && [id], true);
    });
    page.planCheck = new PlanCheck(page, () => changed(page.plan.inTerm(page.terms.current?.id), true));
    this.#schedule = new Schedule(page);
    this.#offers = new Offers(page);
    // An offer that was accepted, declined or lapsed, here or on another device, needs no banner.
    page.alerts.isOver = ({ notice }) => notice?.reason === "offer" && page.registrations.isLoaded
      && !page.registrations.offers().some(({ section }) => page.catalogue.get(section)?.crn === notice.crn);
  }

  async load() {
    const { registrations, plan } = this.page;
    await Promise.all([registrations.load(), plan.load()]);
    // An earlier page sent these drops as it closed. If the student still has the section, the drop did not reach the
    // hub.
    for (const id of takeUnconfirmed()) if (registrations.get(id)) registrations.setMessage(id, "drop.unconfirmed", "careful");
  }

  /** Whether the student's registrations and plan have been read. Until then, nothing says that there are none. */
  get isLoaded() {
    return this.page.registrations.isLoaded && this.page.plan.isLoaded;
  }

  /** Removes everything when the student signs out. */
  clear() {
    const { drops, registrations, plan } = this.page;
    drops.clear();
    this.ownSeats.clear();
    registrations.clear();
    plan.clear();
    drawHolds();
    this.#offers.draw();
    this.termChanged();
  }

  termChanged() {
    this.#schedule.clear();
    this.page.planCheck.clear();
  }

  /** Updates the times that are left, each second. */
  tick() {
    this.#offers.tick();
  }

  draw() {
    this.#offers.draw();
    this.page.alerts.update();
    drawHolds(this.page.terms.current?.mine?.holds);
    this.#schedule.draw();
    this.page.planCheck.draw();
  }

  /**
   * Returns whether other sections are planned than at the last change. The headline about a registration is removed
   * then.
   */
  #isPlanChanged() {
    const planned = String(this.page.terms.current ? this.planned() : []);
    const isChanged = planned !== this.#planned;
    this.#planned = planned;
    return isChanged;
  }

  /** Returns whether a section is planned or registered. */
  has(id) {
    return this.page.plan.has(id) || Boolean(this.page.registrations.get(id));
  }

  /** Returns the sections of the current term for which the student is registered, then those that are only planned. */
  week() {
    const { terms, registrations, plan } = this.page;
    const term = terms.current?.id;
    const registered = registrations.inTerm(term).map(({ section }) => section);
    return [...registered, ...plan.inTerm(term).filter((id) => !registered.includes(id))];
  }

  /** Returns the sections of the current term that are planned and not registered. */
  planned() {
    const { terms, registrations, plan } = this.page;
    return plan.inTerm(terms.current?.id).filter((id) => !registrations.get(id));
  }

  /** Registers for all of these sections. On a phone, scrolls to the headline of the results. */
  registerAll(ids) {
    const { planCheck, registrations, terms } = this.page;
    if (this.page.narrow.matches) openView("#term", () => $("plan-tools").scrollIntoView());
    planCheck.clear();
    return registrations.registerPlan(terms.current.id, ids, (results) => planCheck.registered(ids, results));
  }

  #resultText(id) {
    const { catalogue, actions, registrations } = this.page;
    return `${catalogue.name(id)}: ${actions.result(id)?.text ?? statusText(registrations.get(id))}`.replace(/\.?$/, ".");
  }
}
