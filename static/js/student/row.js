// One row of the search: what it is, when, by whom, how many seats, and what can be done; opened, all of it.

import { button, h, put } from "../dom.js";
import { t, now } from "../i18n.js";
import { icon } from "../icons.js";
import { drawSeats } from "../seat-cell.js";
import { date, kind, listed, meeting, meetings } from "../words.js";

const opened = new Set();

export class Row {
  constructor(page) {
    this.page = page;
    this.course = h("strong", { class: "course" });
    this.kind = h("span", { class: "kind" });
    this.title = h("span", { class: "title" });
    this.head = h("button", { class: "name", type: "button", onclick: () => this.#toggle() },
      h("span", { class: "names" }, this.course, " ", this.kind), this.title);
    this.when = h("div", { class: "when" });
    this.who = h("div", { class: "who" });
    this.seats = h("div", { class: "seats" });
    this.act = h("div", { class: "act" });
    this.answer = h("div", { class: "answers" });
    this.details = h("div", { class: "details" });
    this.line = h("div", { class: "line" }, this.head, this.when, this.who, this.seats, this.act);
    this.more = h("div", { class: "more" }, this.answer, this.details);
    this.el = h("li", { class: "row" }, this.line, this.more);
  }

  bind(id) {
    this.bound = id;
    this.fixed = undefined;
    this.act.dataset.key = this.answer.dataset.key = this.answer.dataset.does = "";
    this.draw();
  }

  draw() {
    const { catalogue, numbers, own, actions } = this.page;
    const id = this.bound;
    const section = catalogue.get(id);
    if (!section) return;
    const stamp = `${id} ${now.language}`;
    if (this.fixed !== stamp) {
      this.fixed = stamp;
      this.against = undefined;
      this.#fix(section);
    }
    drawSeats(this.seats, numbers(id), section.status);
    const against = own && actions.against(id);
    this.#warn(section, against);
    if (!own) return this.#visit(section);
    actions.draw(this.act, id, "row", Boolean(against));
    actions.drawAnswer(this.answer, id, "row");
  }

  /** What does not change while it is in sight. */
  #fix(section) {
    this.course.textContent = section.course;
    this.kind.textContent = [section.section, kind(section)].filter(Boolean).join(" ");
    this.title.textContent = section.title ?? "";
    this.title.title = section.title ?? "";
    const first = section.meetings?.[0] ? meeting(section.meetings[0], false) : t("section.no_time");
    const more = (section.meetings?.length ?? 0) - 1;
    this.when.textContent = more > 0 ? t("section.more_times", { first, n: more }) : first;
    this.when.title = meetings(section).join("; ");
    this.#open(section);
  }

  /** Who teaches it, or what it cannot go together with: shown before anything is pressed. */
  #warn(section, found) {
    const key = found ? `${found.kind} ${found.with}` : section.instructor ?? "";
    if (this.against === key) return;
    this.against = key;
    this.who.classList.toggle("careful", Boolean(found));
    const words = found && t(found.kind === "same" ? "section.same" : "section.overlaps", {
      sections: listed(found.with.map((id) => this.page.catalogue.get(id)?.course ?? id)),
    });
    this.who.title = words ?? section.instructor ?? "";
    put(this.who, found ? [icon("warn"), words] : section.instructor ?? t("section.unnamed"));
  }

  /** Whoever is not a student has nothing to do here; a visitor who wants to plan signs in. */
  #visit({ id, status }) {
    const { user, catalogue, signInFor } = this.page;
    const visitor = user() === null && status !== "cancelled";
    const key = `visit ${id} ${visitor} ${now.language}`;
    if (this.act.dataset.key === key) return;
    this.act.dataset.key = key;
    this.answer.dataset.key = this.answer.dataset.does = "";
    put(this.answer);
    put(this.act, visitor && button([icon("plus"), t("do.plan")], () => signInFor(id), { "aria-label": t("do.for", { verb: t("do.plan"), section: catalogue.name(id) }) }));
  }

  #toggle() {
    if (!opened.delete(this.bound)) opened.add(this.bound);
    this.#open(this.page.catalogue.get(this.bound));
  }

  #open(section) {
    const isOpen = opened.has(section.id);
    this.head.setAttribute("aria-expanded", isOpen);
    put(this.details, isOpen && details(section, this.page));
  }
}

/** Everything about a section, nothing cut. */
function details(section, { catalogue, finder }) {
  const span = (one) => one.starts_on && one.ends_on ? `, ${t("section.dates", { from: date(one.starts_on), to: date(one.ends_on) })}` : "";
  const meets = (section.meetings ?? []).map((one) => h("div", null, meeting(one), span(one)));
  const pair = (label, value) => value !== null && value !== undefined && value !== "" && value?.length !== 0 && h("div", null, h("dt", null, t(label)), h("dd", null, value));
  return [
    section.title && h("p", null, h("strong", null, section.title)),
    h("dl", null,
      pair("section.meets", meets.length ? meets : t("section.no_time")),
      pair("section.instructor", section.instructor ?? t("section.unnamed")),
      pair("section.crn", section.crn),
      pair("section.credits.label", String(section.credits ?? 0)),
      pair("section.how", [section.method, section.campus].filter(Boolean).join(", ")),
      pair("section.before", section.prerequisites?.length ? listed(section.prerequisites) : null),
      pair("section.linked", section.linked?.length ? listed(section.linked.map((id) => catalogue.name(id))) : null),
      pair("section.seats", `${t("section.taken", { n: section.capacity, taken: catalogue.numbers(section.id).enrolled })}. ${t("section.line", { n: section.waitlist_capacity })}.`)),
    button(t("find.course", { course: section.course }), () => finder.find(section.course), { class: "quiet" }),
  ];
}
