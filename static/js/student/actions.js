// What can be done with a section, where its button stands, and what came of it: the answer and the one next step.

import { button, h, put, reword, SETTLE_MS } from "../dom.js";
import { now, t } from "../i18n.js";
import { icon } from "../icons.js";
import { note } from "../session.js";
import { listed, seats as seatWords, sentence } from "../words.js";
import { refusal, standing } from "./answers.js";
import { against } from "./clash.js";


export class Actions {
  constructor(page) {
    this.page = page;
  }

  kind(id) {
    return seatWords(this.page.numbers(id), this.page.catalogue.get(id)?.status).kind;
  }

  /** What keeps a section from going together with what is held and planned; nothing for what is held. */
  against(id) {
    const { catalogue, mine } = this.page;
    const section = catalogue.get(id);
    if (!section || mine.get(id)) return null;
    return against(section, this.page.own.week().map((other) => catalogue.get(other)));
  }

  /** Of these, how many would be refused if all were asked for now: full, closed, or against another of the week. */
  doubtful(ids) {
    return ids.filter((id) => this.kind(id) !== "open" || this.against(id)).length;
  }

  /**
   * Draws the button of a section into `el`, only when it would be another: a button never changes under a finger.
   * `clashes`: it does not go together with the week, so that the button does not ask to be pressed.
   */
  draw(el, id, place = "row", clashes = false) {
    const { mine, terms, plan, drops, numbers } = this.page;
    const held = mine.get(id);
    const [doing, kind, waits] = [mine.doing(id), this.kind(id), drops.left(id) !== undefined];
    const { waitlisted: waiting, waitlist_capacity: places } = numbers(id);
    const line = kind !== "full" ? "" : !places ? "wait.none" : waiting >= places ? "wait.full" : "open";
    const key = [id, held?.status, held?.position, held && waiting, doing, kind, line, waits, terms.phase(), plan.has(id), clashes, now.language].join();
    if (el.dataset.key === key) return;
    const same = el.dataset.key?.split(",")[0] === id;
    el.dataset.key = key;
    // Only where one could register a moment ago can a press be meant for that.
    if (kind === "open" || !same) el.dataset.full = -Infinity;
    else if (el.dataset.could) el.dataset.full = performance.now();
    el.dataset.could = kind === "open" && !held && terms.open ? "1" : "";
    put(el, this.#buttons(id, { held, doing, kind, line, waits, waiting, place, clashes, since: Number(el.dataset.full) }));
  }

  #buttons(id, { held, doing, kind, line, waits, waiting, place, clashes, since }) {
    const { mine, terms, plan, drops } = this.page;
    if (doing) return h("span", { class: "doing" }, t(doing));
    const labelled = (verb) => ({ "aria-label": t("do.for", { verb: t(verb), section: this.page.catalogue.name(id) }) });
    if (held && waits) return button(t("do.undo"), () => drops.undo(id), labelled("do.undo"));
    if (held) {
      const verb = held.status === "enrolled" ? "do.drop" : "do.leave";
      return [h("span", { class: held.status === "enrolled" ? "tag good" : "tag careful" }, icon(held.status === "enrolled" ? "check" : "clock"), standing(held, waiting)),
        button(t(verb), () => { mine.settle(id); drops.start(id, place); }, { class: "quiet", ...labelled(verb === "do.leave" ? "do.leave.long" : verb) })];
    }
    if (place === "term") return [this.#icon("close", "do.unplan", id, () => { mine.settle(id); plan.remove(id); })];
    if (terms.phase() === "over") return null;
    if (!terms.open) return plan.has(id)
      ? button([icon("check"), t("do.planned")], () => plan.remove(id), { class: "on", "aria-pressed": "true", ...labelled("do.planned") })
      : kind !== "cancelled" && button([icon("plus"), t("do.plan")], () => plan.add(id), { "aria-pressed": "false", ...labelled("do.plan") });
    // Pressed before, it is pressed for what it was: nobody joins a waitlist by accident.
    const settled = () => performance.now() - since > SETTLE_MS;
    const main = kind === "open" ? button(t("do.register"), () => mine.register(id), { class: clashes ? "" : "strong", ...labelled("do.register") })
      : line && line !== "open" ? h("span", { class: "tag none" }, t(line))
      : kind === "full" ? button(t("do.wait"), () => mine.register(id, { waitlist: settled() }), labelled("do.wait")) : null;
    return [main, kind !== "cancelled" && (plan.has(id)
      ? this.#icon("keep", "do.planned", id, () => plan.remove(id), { class: "icon-only on", "aria-pressed": "true" })
      : this.#icon("keep", "do.plan", id, () => plan.add(id), { class: "icon-only", "aria-pressed": "false" }))];
  }

  #icon(name, verb, id, onclick, props = { class: "icon-only" }) {
    return button(icon(name), onclick, { title: t(verb), "aria-label": t("do.for", { verb: t(verb), section: this.page.catalogue.name(id) }), ...props });
  }

  /** The words of the last answer about a section: `{text, tone, next?, with?}` or null. */
  said(id) {
    const { mine, terms, catalogue } = this.page;
    const answer = mine.answer(id);
    if (!answer) return null;
    const context = { nameOf: catalogue.name, limit: terms.current?.mine?.credit_limit };
    if (context.limit) context.sum = mine.credits(terms.current.id) + (catalogue.get(id)?.credits ?? 0);
    if (answer.news) {
      const why = answer.because ? refusal(answer.because, context).text : "";
      return { tone: answer.tone, text: t(answer.news, { why }) };
    }
    const waitlisted = this.page.numbers(id).waitlisted ?? answer.problem.waitlisted;
    return { tone: answer.tone, ...refusal({ ...answer.problem, waitlisted }, context) };
  }

  /** Draws what came of the last question about a section, and the next step. */
  drawAnswer(el, id, place) {
    const { mine, drops, plan } = this.page;
    const answer = mine.answer(id);
    const left = drops.left(id, place);
    const shown = answer && !mine.doing(id) && (place === "term" || answer.place !== "term") ? this.said(id) : null;
    const held = mine.get(id);
    const { numbers, catalogue } = this.page;
    const counts = shown && [numbers(id).waitlisted, shown.next && catalogue.others(id).length];
    const said = [left, shown?.text, counts, now.language].join();
    const does = [id, left === undefined, shown?.tone, shown?.next, shown?.with, held?.status, plan.has(id)].join();
    const key = `${does} ${said}`;
    if (el.dataset.key === key) return;
    const same = el.dataset.does === does;
    [el.dataset.key, el.dataset.does] = [key, does];
    const drawn = left !== undefined
      ? [h("p", { class: "careful" }, t(held?.status === "enrolled" ? "drop.grace" : "drop.grace.line", { n: left }))]
      : shown ? [h("p", { class: shown.tone }, shown.tone === "good" ? icon("check") : icon("warn"), shown.text), h("p", { class: "next" }, this.#next(id, shown, place))] : [];
    if (same) reword(el, drawn);
    else put(el, drawn);
  }

  #next(id, { next, with: others = [] }, place) {
    const { mine, plan, catalogue, finder, terms } = this.page;
    const course = catalogue.get(id)?.course;
    const seated = catalogue.others(id).length;
    const show = course && seated > 0 && [t("why.others", { n: seated, course }), " ", button(t("next.others", { n: seated }), () => finder.find(`${course} ${catalogue.get(id).component ?? ""}`.trim()), { class: "plain" })];
    switch (next) {
      case "waitlist":
        return [button(t("next.wait", { n: this.page.numbers(id).waitlisted ?? 0 }), () => mine.register(id, { waitlist: true, place })), " ", show && h("small", null, show)];
      case "swap":
        return others.every((one) => mine.get(one)) && button([icon("swap"), t("next.swap", { sections: listed(others.map(catalogue.name)) })], () => mine.swap(id, others, place));
      case "others":
        return show || (course && t("why.others", { n: 0, course }));
      case "plan":
        return !plan.has(id) && terms.phase() !== "over" && button(t("next.plan"), () => { mine.settle(id); plan.add(id); });
      case "again":
        return button(t("next.again"), () => mine.register(id, { place }));
      case "look":
        return button(t("next.look"), () => mine.load().then(() => mine.settle(id), (problem) => note(sentence(problem))));
      case "sign":
        return button(t("next.sign"), () => this.page.signInFor(id));
      default:
        return null;
    }
  }
}
