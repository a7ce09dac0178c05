// Refusals of changes that staff make for a student, in words that name the sections, courses and offices concerned.

import { has, t } from "../i18n.js";
import { dateTime, joinList, prerequisiteText, problemText } from "../words.js";

/** The codes that staff can override, in the order in which the hub evaluates the rules. */
export const LIFTABLE = [
  "registration_closed", "hold", "section_cancelled", "section_closed", "already_in_course", "repeat_limit", "prerequisite",
  "linked_section_required", "time_conflict", "credit_limit", "restricted", "section_full", "waitlist_full",
];

/** Returns the conditions of a section on its students: `only Honors or Veterans`. */
function restrictionsText(restrictions = []) {
  return joinList(restrictions.map(({ values, exclude }) =>
    t(exclude ? "student.refused.not_for" : "student.refused.only_for", { who: joinList(values, "disjunction") })));
}

/** Returns the arguments of the text for a code, or null if the problem has none. */
function details({ code, ...problem }, nameOf) {
  const names = (ids) => ids?.length ? joinList([ids].flat().map(nameOf)) : null;
  switch (code) {
    case "registration_closed": return problem.opens_at ? { at: dateTime(problem.opens_at) } : null;
    case "hold": return problem.holds?.length ? { holds: joinList(problem.holds.map(({ office, text }) => t("student.hold.line", { office, text }))) } : null;
    case "already_in_course":
    case "time_conflict": return problem.conflicts_with ? { sections: names([problem.conflicts_with].flat()) } : null;
    case "repeat_limit": return problem.taken ? { n: problem.taken } : null;
    case "prerequisite": return problem.unmet ? { courses: prerequisiteText(problem.unmet) } : null;
    case "linked_section_required": return problem.choices?.length ? { sections: names(problem.choices) } : null;
    case "credit_limit": return problem.credits_wanted ? { sum: problem.credits_wanted, limit: problem.credit_limit } : null;
    case "restricted": return problem.restrictions?.length ? { conditions: restrictionsText(problem.restrictions) } : null;
    default: return null;
  }
}

/** Returns the text of a problem for staff who help a student. */
export function staffRefusal(problem, nameOf) {
  if (problem.code === "section_full" && problem.reserved) return t("student.refused.reserved");
  const args = details(problem, nameOf);
  const key = `student.refused.${problem.code}`;
  if (args && has(key)) return t(key, args);
  return has(`error.${problem.code}`) && LIFTABLE.includes(problem.code) ? t(`error.${problem.code}`) : problemText(problem);
}
