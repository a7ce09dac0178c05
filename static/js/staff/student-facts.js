// What the college states about a student: holds, which staff lift here, limits, groups, and permits.

import { button, h, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { dateTime, joinList } from "../words.js";
import { Change } from "./change.js";
import { StudentPermits } from "./student-permits.js";

export class StudentFacts {
  /** `file`: the student's file. */
  constructor(file) {
    this.file = file;
    this.holds = h("div");
    this.change = h("div", { class: "no-print" });
    this.list = h("dl");
    this.permits = new StudentPermits(file);
    const section = (title, ...parts) => h("section", null, h("h4", null, t(title)), parts);
    this.el = h("div", { class: "facts" }, section("student.holds", this.holds, this.change), section("student.facts", this.list), this.permits.el);
  }

  load() {
    return this.file.show(this.holds, this.file.path, (facts) => {
      put(this.holds, facts.holds.length ? h("ul", { class: "lines", role: "list" }, facts.holds.map((one) => this.#hold(one)))
        : h("p", { class: "none" }, t("student.holds.none")));
      put(this.list, pairs(facts));
      this.permits.draw(facts.permits ?? []);
    });
  }

  #hold(hold) {
    const { id, office, text, url, blocks } = hold;
    const blocked = blocks.length ? t(`student.hold.blocks.${blocks.length > 1 ? "both" : blocks[0]}`) : t("student.hold.blocks.nothing");
    return h("li", { class: "choice" }, h("div", null, h("strong", { dir: "auto" }, office), " ", h("span", { dir: "auto" }, text), h("small", null, blocked),
      url && h("small", null, h("a", { href: url, rel: "noreferrer" }, url))),
    h("p", { class: "no-print" }, button(t("student.hold.lift"), () => this.#lift(id, office, text), { class: "quiet", "aria-label": t("action.for", { verb: t("student.hold.lift"), section: office }) })));
  }

  #lift(id, office, text) {
    const { file } = this;
    const el = h("div");
    put(this.change, el);
    const end = () => { put(this.change); };
    new Change(el, {
      verb: t("student.hold.lift.yes"), nameOf: file.page.nameOf,
      onclose: () => { end(); file.heading.focus(); },
      send: async () => {
        // The facts may have changed since they were shown.
        const facts = await api.get(file.path);
        return api.put(file.path, { ...facts, holds: facts.holds.filter((one) => one.id !== id) });
      },
      ondone: () => { end(); file.changed(t("student.done.lifted", { office })); },
    }).confirm(t("student.hold.lift.text", { name: file.name, office, text }));
  }
}

/** Returns the facts as pairs of a description list. Those that the college does not state are left out. */
function pairs({ credit_min, credit_limit, groups, program, campus, opens_at, closes_at, completed, completed_known }) {
  const courses = completed.map(({ course, grade, term }) => [course, grade, term].filter(Boolean).join(" "));
  const all = [
    ["student.credit_min", credit_min], ["student.credit_limit", credit_limit === 0 ? t("student.unlimited") : credit_limit], ["student.groups", groups.length && joinList(groups)],
    ["student.program", program], ["student.campus", campus], ["student.opens", opens_at && dateTime(opens_at)], ["student.closes", closes_at && dateTime(closes_at)],
    ["student.completed", completed_known ? courses.length ? joinList(courses) : t("student.completed.none") : t("student.completed.unknown")],
  ];
  return all.filter(([, value]) => value).map(([label, value]) => h("div", null, h("dt", null, t(label)), h("dd", { dir: "auto" }, String(value))));
}
