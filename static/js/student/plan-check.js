// The check of the plan before registration opens, and the headline after a plan was registered.

import { api, query } from "../api.js";
import { $, button, h, put } from "../dom.js";
import { i18n, onLanguage, t } from "../i18n.js";
import { icon } from "../icons.js";
import { joinList, ordinal, problemText } from "../words.js";
import { refusal } from "./outcomes.js";

export class PlanCheck {
  #results = new Map();
  #problems = [];
  /** The sentences of the headline: a text key and its arguments for each. */
  #headline = [];
  #tone = "";
  #isChecking = false;
  #key = "";
  /** Increases with each change that makes a check outdated, so that a late response is ignored. */
  #version = 0;

  /** `onchange()` is called when the results have changed. */
  constructor(page, onchange) {
    Object.assign(this, { page, onchange });
    this.button = button("", () => this.run(), { id: "check-plan" });
    $("plan-tools").append(this.button);
    onLanguage(() => { this.#key = ""; });
  }

  /**
   * Removes the results and, unless `headline` is false, the headline, because the plan, the registrations or the term
   * changed.
   */
  clear({ headline = true } = {}) {
    this.#version += 1;
    this.#isChecking = false;
    if (headline) this.#headline = [];
    if (!this.#results.size && !this.#problems.length && !headline) return;
    this.#results.clear();
    this.#problems = [];
    this.onchange();
  }

  /** Checks the plan of the current term. */
  async run() {
    if (this.#isChecking) return;
    this.clear();
    const [version, term] = [this.#version, this.page.terms.current?.id];
    this.#isChecking = true;
    this.onchange();
    try {
      await this.page.plan.saved;
      const { results, problems } = await api.post(`/api/v1/me/plan/check${query({ term })}`);
      if (version !== this.#version) return;
      await this.page.catalogue.ensure(results.flatMap(({ alternate }) => alternate ?? []));
      const planned = results.filter(({ section }) => !this.page.registrations.get(section));
      this.#results = new Map(planned.map((one) => [one.section, one]));
      this.#problems = problems;
      const stopped = planned.filter(({ problem }) => problem).length;
      this.#tone = stopped || problems.length ? "careful" : "good";
      this.#headline = [stopped ? ["plan.check.stop", { n: stopped, all: planned.length }] : ["plan.check.good", { n: planned.length }]];
    } catch (problem) {
      if (version !== this.#version) return;
      this.#tone = "stop";
      this.#headline = [["plan.check.failed", { why: problemText(problem) }]];
    }
    this.#isChecking = false;
    this.onchange();
  }

  /** Sets the headline for the results of a registration of `ids`. */
  registered(ids, results) {
    const count = (status) => results.filter((one) => one.status === status).length;
    const [enrolled, waiting] = [count("enrolled"), count("waitlisted")];
    const open = ids.length - enrolled - waiting;
    this.clear();
    this.#tone = open ? "careful" : "good";
    this.#headline = [["plan.headline", { n: enrolled, all: ids.length }], waiting && ["plan.headline.waiting", { n: waiting }], open && ["plan.headline.open", { n: open }]].filter(Boolean);
    this.onchange();
  }

  /** Draws the headline, the problems of the whole plan, and the button. */
  draw() {
    const { terms, workspace } = this.page;
    const planned = workspace.planned();
    const canCheck = planned.length > 0 && terms.phase() !== "over";
    const key = JSON.stringify([canCheck, this.#isChecking, this.#headline, this.#tone, this.#problems, i18n.language]);
    if (this.#key === key) return;
    this.#key = key;
    $("plan-tools").hidden = !canCheck && !this.#headline.length;
    const text = this.#headline.map(([name, args]) => t(name, args)).join(" ");
    $("plan-headline").className = this.#tone;
    put($("plan-headline"), text && [icon(this.#tone === "good" ? "check" : "warn"), h("span", null, text)]);
    put($("plan-problems"), this.#problems.map((problem) => this.#problemText(problem)).filter(Boolean).map((one) => h("li", null, one)));
    this.button.hidden = !canCheck;
    this.button.setAttribute("aria-disabled", this.#isChecking);
    this.button.textContent = t(this.#isChecking ? "plan.checking" : "plan.check");
  }

  /** Draws the expected result of a planned section. */
  drawResult(el, id) {
    const shown = this.page.plan.has(id) && !this.page.registrations.get(id) && !this.page.registrations.result(id) && this.#result(id);
    const key = JSON.stringify([shown, i18n.language]);
    if (el.dataset.key === key) return;
    el.dataset.key = key;
    put(el, shown && shown.texts.map((text) => h("p", { class: shown.tone }, icon(shown.tone === "good" ? "check" : "warn"), h("span", null, text))));
  }

  #result(id) {
    const result = this.#results.get(id);
    if (!result) return null;
    const name = this.page.catalogue.name;
    if (result.problem) return { tone: "careful", texts: [result.problem, ...result.also ?? []].map((problem) => this.#refusal(problem)) };
    if (result.alternate) return { tone: "careful", texts: [t("check.alternate", { section: name(result.alternate) })] };
    if (result.status === "waitlisted") return { tone: "careful", texts: [result.position ? t("check.waitlisted", { nth: ordinal(result.position) }) : t("status.waitlisted")] };
    return { tone: "good", texts: [t("check.enrolled")] };
  }

  /**
   * Returns the reason why a planned section would be refused. It may conflict with a section that is planned, not
   * registered.
   */
  #refusal(problem) {
    const { catalogue, plan, registrations, terms } = this.page;
    const others = [problem.conflicts_with ?? []].flat().filter((id) => plan.has(id) && !registrations.get(id));
    const sections = joinList(others.map(catalogue.name));
    if (others.length && problem.code === "already_in_course") return t("check.same", { sections });
    if (others.length && problem.code === "time_conflict") return t("check.overlap", { sections });
    if (problem.code === "credit_limit") return t("check.credits", { sum: problem.credits_wanted, limit: problem.credit_limit });
    if (problem.code === "linked_section_required") return t("check.linked.this");
    return refusal(problem, { nameOf: catalogue.name, limit: terms.current?.mine?.credit_limit }).text;
  }

  /** Returns the text of a problem of the whole plan. Overlaps are listed under the week. */
  #problemText(problem) {
    const sections = joinList((problem.sections ?? []).map(this.page.catalogue.name));
    switch (problem.code) {
      case "time_conflict":
      case "already_in_course":
        return null;
      case "credit_min":
        return t("check.credit_min", { sum: problem.credits_wanted, least: problem.credit_min });
      case "credit_limit":
        return t("check.credits", { sum: problem.credits_wanted, limit: problem.credit_limit });
      case "linked_section_required":
        return t("check.linked", { sections });
      default:
        return refusal(problem).text;
    }
  }
}
