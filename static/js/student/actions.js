// The buttons of a section, and the result of the last request with its next step.

import { button, h, put, SETTLE_MS, update } from "../dom.js";
import { i18n, t } from "../i18n.js";
import { icon } from "../icons.js";
import { showNote } from "../session.js";
import { joinList, problemText, seatStatus } from "../words.js";
import { findConflict, sameComponent } from "./conflicts.js";
import { refusal, statusText } from "./outcomes.js";
import { hasWaitOptions, waitForm } from "./wait-choices.js";

const isAboutSeats = ({ code }) => ["section_full", "waitlist_full"].includes(code);
const conflicting = ({ conflicts_with }) => [conflicts_with ?? []].flat();

export class Actions {
  constructor(page) {
    this.page = page;
  }

  /** Returns the kind of a section's availability; see `seatStatus`. */
  kind(id) {
    return seatStatus(this.page.numbers(id), this.page.catalogue.get(id)?.status).kind;
  }

  /**
   * Returns the conflict of a section with the student's week, or null; always null for a registered section. A planned
   * section of the same class without an open seat is not a conflict: this one can replace it.
   */
  conflict(id) {
    const { catalogue, registrations, workspace } = this.page;
    const section = catalogue.get(id);
    if (!section || registrations.get(id)) return null;
    const isReplaceable = (other) => other && sameComponent(other, section) && !registrations.get(other.id) && this.kind(other.id) !== "open";
    return findConflict(section, workspace.week().map((other) => catalogue.get(other)).filter((other) => !isReplaceable(other)));
  }

  /** Counts the sections that would probably be refused now: full, closed, cancelled, or in conflict with the week. */
  countDoubtful(ids) {
    return ids.filter((id) => this.kind(id) !== "open" || this.conflict(id)).length;
  }

  /**
   * Draws the buttons of a section into `el`. The elements stay while only a text changes, such as a position on the
   * waitlist, so that no button disappears while it is being pressed. With `hasConflict`, or if a hold blocks
   * registration, Register is not emphasized.
   */
  draw(el, id, view = "row", hasConflict = false) {
    const { registrations, terms, plan, drops, numbers } = this.page;
    const registration = registrations.get(id);
    const [pending, kind, isDropping] = [registrations.pending(id), this.kind(id), drops.left(id) !== undefined];
    const { waitlisted: waiting, waitlist_capacity: places } = numbers(id);
    const waitlist = kind !== "full" ? "" : !places ? "waitlist.none" : waiting >= places ? "waitlist.full" : "open";
    const canChoose = waitlist === "open" && !registration && view !== "schedule" && terms.open && hasWaitOptions(this.page, id);
    const isDoubtful = hasConflict || terms.isHeld;
    const layout = [id, registration?.status, pending, kind, waitlist, canChoose, isDropping, terms.phase(), plan.has(id), isDoubtful].join();
    const key = [layout, registration?.position, registration?.expires_at, registration && waiting, i18n.language].join();
    if (el.dataset.key === key) return;
    const [same, sameLayout] = [el.dataset.key?.split(",")[0] === id, el.dataset.layout === layout];
    [el.dataset.key, el.dataset.layout] = [key, layout];
    // When Register has just become Join waitlist, a press may still be meant for Register.
    if (kind === "open" || !same) el.dataset.fullSince = -Infinity;
    else if (el.dataset.canRegister) el.dataset.fullSince = performance.now();
    el.dataset.canRegister = kind === "open" && !registration && terms.open ? "1" : "";
    (sameLayout ? update : put)(el, this.#buttons(id, { registration, pending, kind, waitlist, canChoose, isDropping, waiting, view, isDoubtful, fullSince: Number(el.dataset.fullSince) }));
  }

  #buttons(id, { registration, pending, kind, waitlist, canChoose, isDropping, waiting, view, isDoubtful, fullSince }) {
    const { registrations, terms, plan, drops } = this.page;
    if (pending) return h("span", { class: "pending" }, t(pending));
    const labelled = (verb) => ({ "aria-label": t("action.for", { verb: t(verb), section: this.page.catalogue.name(id) }) });
    if (registration && isDropping) return button(t("action.undo"), () => drops.undo(id), labelled("action.undo"));
    if (registration?.status === "offered") {
      // A row has no room for more. The offer with its deadline is above the schedule.
      const accept = button(t("action.accept"), () => registrations.accept(id, view), { class: "strong", ...labelled("action.accept") });
      return [view === "schedule" && h("span", { class: "tag careful" }, icon("clock"), t("status.offered")), accept];
    }
    if (registration) {
      const verb = registration.status === "enrolled" ? "action.drop" : "action.leave";
      return [h("span", { class: registration.status === "enrolled" ? "tag good" : "tag careful" }, icon(registration.status === "enrolled" ? "check" : "clock"), statusText(registration, waiting)),
        button(t(verb), () => { registrations.clearResult(id); drops.start(id, view); }, { class: "quiet", ...labelled(verb === "action.leave" ? "action.leave.long" : verb) })];
    }
    // A section that was just dropped is in no plan: only its result is removed.
    if (view === "schedule") return [this.#icon("close", plan.has(id) ? "action.unplan" : "action.close", id, () => { registrations.clearResult(id); plan.remove(id); })];
    if (terms.phase() === "over") return null;
    if (!terms.open) return plan.has(id)
      ? button([icon("keep"), t("action.planned")], () => plan.remove(id), { class: "on", "aria-pressed": "true", ...labelled("action.planned") })
      : kind !== "cancelled" && button([icon("keep"), t("action.plan")], () => plan.add(id), { "aria-pressed": "false", ...labelled("action.plan") });
    // A press within SETTLE_MS counts as Register, so that a student does not join a waitlist by accident.
    const settled = () => performance.now() - fullSince > SETTLE_MS;
    const main = kind === "open" ? button(t("action.register"), () => registrations.register(id), { class: isDoubtful ? "" : "strong", ...labelled("action.register") })
      : waitlist && waitlist !== "open" ? h("span", { class: "tag none" }, t(waitlist))
      : kind === "full" ? button(t("action.wait"), () => registrations.register(id, { waitlist: settled() }), labelled("action.wait")) : null;
    return [main, canChoose && this.#icon("down", "action.wait.choices", id, () => registrations.toggleWaitChoices(id)), kind !== "cancelled" && (plan.has(id)
      ? this.#icon("keep", "action.planned", id, () => plan.remove(id), { class: "icon-only on", "aria-pressed": "true" })
      : this.#icon("keep", "action.plan", id, () => plan.add(id), { class: "icon-only", "aria-pressed": "false" }))];
  }

  #icon(name, verb, id, onclick, props = { class: "icon-only" }) {
    return button(icon(name), onclick, { title: t(verb), "aria-label": t("action.for", { verb: t(verb), section: this.page.catalogue.name(id) }), ...props });
  }

  /** Returns the last result for a section as text: `{text, tone, next?, with?}` or null. */
  result(id) {
    const { registrations, terms, catalogue } = this.page;
    const result = registrations.result(id);
    if (!result) return null;
    const context = { nameOf: catalogue.name, limit: terms.current?.mine?.credit_limit };
    if (context.limit) context.sum = registrations.credits(terms.current.id) + (catalogue.get(id)?.credits ?? 0);
    if (result.message) {
      const isHalf = result.because?.code === "section_full";
      const why = isHalf ? t("wait.half") : result.because ? refusal(result.because, context).text : "";
      return { tone: result.tone, next: result.next, text: t(result.message, { why, section: result.planned && catalogue.name(result.planned) }) };
    }
    const problem = this.#remaining(id, result);
    if (!problem) return null;
    const waitlisted = this.page.numbers(id).waitlisted ?? problem.waitlisted;
    const shown = { tone: result.tone, ...refusal({ ...problem, waitlisted }, context) };
    // While the section is full, a swap is possible only when a seat opens, and a linked section must be waited for.
    const isFull = this.kind(id) === "full" && this.page.numbers(id).waitlist_capacity > 0;
    const isChosen = isFull && (shown.next === "swap" || problem.code === "linked_section_required");
    return isChosen && hasWaitOptions(this.page, id) ? { ...shown, next: "choose", with: undefined } : shown;
  }

  /**
   * Returns whether the reason of a refusal is true now: the section is full, a section that was in the way is
   * registered, or a hold blocks registration.
   */
  isBlocked(id, problem) {
    if (problem.code === "hold") return this.page.terms.isHeld;
    return isAboutSeats(problem) ? this.kind(id) !== "open" : this.#inTheWay(problem).length > 0;
  }

  #inTheWay(problem) {
    return conflicting(problem).filter((one) => this.page.registrations.get(one));
  }

  /**
   * Returns the refusal that remains: null once a seat of the full section has opened, the sections that were in the
   * way have been dropped, or the hold has been lifted; see `Registrations.recordBlocked`.
   */
  #remaining(id, { problem, wasBlocked }) {
    if (!wasBlocked) return problem;
    if (!this.isBlocked(id, problem)) return null;
    return { ...problem, ...(conflicting(problem).length && { conflicts_with: this.#inTheWay(problem) }) };
  }

  /**
   * Returns the swap that a student can make without a refusal before it, as a result; null unless everything that
   * conflicts with the section is registered, and the section has a seat.
   */
  #swap(id) {
    const { registrations, terms, catalogue } = this.page;
    const conflict = terms.open && !registrations.pending(id) && this.kind(id) === "open" ? this.conflict(id) : null;
    if (!conflict?.with.every((one) => registrations.get(one) && !registrations.pending(one))) return null;
    const problem = { code: conflict.kind === "same" ? "already_in_course" : "time_conflict", conflicts_with: conflict.with };
    return { tone: "careful", ...refusal(problem, { nameOf: catalogue.name }) };
  }

  /**
   * Draws the last result for a section with its next step, or the countdown of a delayed drop. Where there is room,
   * `offerSwap` also draws a swap before any refusal.
   */
  drawResult(el, id, view, offerSwap = false) {
    const { registrations, drops, plan, numbers, catalogue } = this.page;
    const result = registrations.result(id);
    const left = drops.left(id, view);
    const shown = result && !registrations.pending(id) && (view === "schedule" || result.view !== "schedule") ? this.result(id)
      : offerSwap && left === undefined ? this.#swap(id) : null;
    const registration = registrations.get(id);
    const counts = shown && [numbers(id).waitlisted, shown.next && catalogue.alternatives(id).length];
    const text = [left, shown?.text, counts, i18n.language].join();
    const layout = [id, left === undefined, shown?.tone, shown?.next, shown?.with, registration?.status, plan.has(id)].join();
    const key = `${layout} ${text}`;
    if (el.dataset.key === key) return;
    const same = el.dataset.layout === layout;
    [el.dataset.key, el.dataset.layout] = [key, layout];
    const drawn = left !== undefined
      ? [h("p", { class: "careful" }, t({ enrolled: "drop.grace", offered: "drop.grace.offer" }[registration?.status] ?? "drop.grace.waitlist", { n: left }))]
      : shown ? [h("p", { class: shown.tone }, shown.tone === "good" ? icon("check") : icon("warn"), shown.text), h("p", { class: "next" }, this.#next(id, shown, view))] : [];
    if (same) update(el, drawn);
    else put(el, drawn);
  }

  #next(id, { next, with: others = [] }, view) {
    const { registrations, plan, catalogue, finder, terms } = this.page;
    const course = catalogue.get(id)?.course;
    const open = catalogue.alternatives(id).length;
    const show = course && open > 0 && [t("problem.others", { n: open, course }), " ", button(t("next.others", { n: open }), () => finder.find(`${course} ${catalogue.get(id).component ?? ""}`.trim()), { class: "plain" })];
    switch (next) {
      case "choose":
        return waitForm(this.page, id, view);
      case "waitlist":
        return [button(t("next.wait", { n: this.page.numbers(id).waitlisted ?? 0 }), () => registrations.register(id, { waitlist: true, view })), " ", show && h("small", null, show)];
      case "swap":
        return others.every((one) => registrations.get(one)) && button([icon("swap"), t("next.swap", { sections: joinList(others.map(catalogue.name)) })], () => registrations.swap(id, others, view));
      case "together":
        // One button for each choice: the section is added together with it.
        return others.map((one) => [button(t("next.together", { section: catalogue.name(one) }), () => registrations.registerAll([id, one], view)), " "]);
      case "others":
        return show || (course && t("problem.others", { n: 0, course }));
      case "plan":
        return !plan.has(id) && terms.phase() !== "over" && button(t("next.plan"), () => { registrations.clearResult(id); plan.add(id); });
      case "retry":
        return button(t("next.retry"), () => registrations.register(id, { view }));
      case "check":
        return button(t("next.check"), () => registrations.load().then(() => registrations.clearResult(id), (problem) => showNote(problemText(problem))));
      case "sign":
        return button(t("next.sign"), () => this.page.signInToPlan(id));
      default:
        return null;
    }
  }
}
