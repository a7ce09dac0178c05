// What a student is told: a standing, or a refusal and the one next step, as sentences of the language that is spoken.

import { hubNow } from "../hub-clock.js";
import { t } from "../i18n.js";
import { busy, listed, moment, nth, sentence } from "../words.js";

/** What somebody holds: `Enrolled`, `3rd of 5 in line`. `waiting` is how many wait in all. */
export function standing(held, waiting) {
  if (!held) return "";
  if (held.status === "offered") return t("held.offered");
  if (held.status !== "waitlisted") return t("held.enrolled");
  if (!held.position) return t("held.waiting");
  const place = { nth: nth(held.position), n: waiting };
  return waiting > 1 && waiting >= held.position ? t("held.place.of", place) : t("held.place", place);
}

/**
 * Why something was refused, in a sentence, and the one next step: `{text, next?}` where `next` is `waitlist`,
 * `swap` (with `with`, a list), `others`, `plan`, `again`, `look` or `sign`. `nameOf` turns a section's id into its name;
 * `sum` and `limit` are the credits that it would have come to.
 */
export function refusal(problem, { nameOf = (id) => id, sum, limit } = {}) {
  const clashing = [problem.conflicts_with ?? []].flat();
  const sections = clashing.length ? listed(clashing.map(nameOf)) : "";
  const swap = clashing.length ? { next: "swap", with: clashing } : {};
  switch (problem.code) {
    case "registration_closed":
      if (problem.closes_at && Date.parse(problem.closes_at) <= hubNow()) return { text: t("why.closed", { at: moment(problem.closes_at) }) };
      return { text: problem.opens_at ? t("why.soon", { at: moment(problem.opens_at) }) : t("why.not_open"), next: "plan" };
    case "hold":
      return { text: t("why.hold") };
    case "section_cancelled":
    case "section_closed":
      return { text: t(`why.${problem.code}`), next: "others" };
    case "already_in_course":
      return { text: sections ? t("why.already", { sections }) : t("why.already.any"), ...swap };
    case "time_conflict":
      return { text: sections ? t("why.conflict", { sections }) : t("why.conflict.any"), ...swap };
    case "credit_limit":
      return { text: sum && limit ? t("why.credits", { sum, limit }) : t("why.credits.any") };
    case "prerequisite":
      return { text: problem.missing?.length ? t("why.prerequisite", { courses: listed(problem.missing) }) : t("why.prerequisite.any") };
    case "linked_section_required":
      return { text: t("why.linked"), next: "others" };
    case "restricted":
      return { text: t("why.restricted"), next: "others" };
    case "section_full":
      return problem.waitlist_open ? { text: t("why.full", { n: problem.waitlisted ?? 0 }), next: "waitlist" } : { text: t("why.full.line"), next: "others" };
    case "waitlist_full":
      return { text: t("why.waitlist_full"), next: "others" };
    case "swap_refused":
      return { text: t("why.swap") };
    case "outcome_unknown":
      return { text: t("why.unknown"), next: "look" };
    case "no_answer":
      return { text: t("why.no_answer"), next: "again" };
    case "overloaded":
    case "rate_limited":
      return { text: busy(problem), next: "again" };
    case "unauthenticated":
      return { text: t("sign.ended"), next: "sign" };
    case "not_found":
      return { text: t("why.gone") };
    default:
      return { text: sentence(problem), next: problem.status >= 500 ? "again" : undefined };
  }
}
