// Texts for the status of a registration, and for a refusal with its next step.

import { hubNow } from "../hub-clock.js";
import { t } from "../i18n.js";
import { busyText, dateTime, joinList, ordinal, prerequisiteText, problemText } from "../words.js";

/**
 * Returns the status of a registration as text: `Enrolled`, `3rd of 5 on the waitlist`. `waiting` is the length of the
 * waitlist.
 */
export function statusText(registration, waiting) {
  if (!registration) return "";
  if (registration.status === "offered") return registration.expires_at ? t("status.offered.until", { at: dateTime(registration.expires_at) }) : t("status.offered");
  if (registration.status !== "waitlisted") return t("status.enrolled");
  if (!registration.position) return t("status.waitlisted");
  const position = { nth: ordinal(registration.position), n: waiting };
  return waiting > 1 && waiting >= registration.position ? t("status.position.of", position) : t("status.position", position);
}

/** Returns the text for the prerequisites that a student lacks, an expression as in `prerequisiteText`. */
function prerequisite(unmet) {
  const courses = unmet && prerequisiteText(unmet);
  return courses ? t("problem.prerequisite", { courses }) : t("problem.prerequisite.any");
}

/**
 * Returns the reason for a refusal, and the next step: `{text, next?, with?}`, where `next` is `waitlist`, `swap` (for
 * the sections `with`), `together` (with one of the sections `with`), `others`, `plan`, `retry`, `check` or `sign`.
 * `nameOf` returns a section's name; `sum` is the number of credits that the request would have led to, `limit` the
 * number allowed.
 */
export function refusal(problem, { nameOf = (id) => id, sum, limit } = {}) {
  const conflicting = [problem.conflicts_with ?? []].flat();
  const sections = conflicting.length ? joinList(conflicting.map(nameOf)) : "";
  const swap = conflicting.length ? { next: "swap", with: conflicting } : {};
  switch (problem.code) {
    case "registration_closed":
      if (problem.closes_at && Date.parse(problem.closes_at) <= hubNow()) return { text: t("problem.closed", { at: dateTime(problem.closes_at) }) };
      return { text: problem.opens_at ? t("problem.soon", { at: dateTime(problem.opens_at) }) : t("problem.not_open"), next: "plan" };
    case "hold":
      return { text: problem.holds?.length ? t("problem.hold.from", { offices: joinList(problem.holds.map(({ office }) => office)) }) : t("problem.hold") };
    case "section_cancelled":
    case "section_closed":
      return { text: t(`problem.${problem.code}`), next: "others" };
    case "already_in_course":
      return { text: sections ? t("problem.already", { sections }) : t("problem.already.any"), ...swap };
    case "time_conflict":
      return { text: sections ? t("problem.conflict", { sections }) : t("problem.conflict.any"), ...swap };
    case "credit_limit":
      return { text: sum && limit ? t("problem.credits", { sum, limit }) : t("problem.credits.any") };
    case "prerequisite":
      return { text: prerequisite(problem.unmet) };
    case "linked_section_required":
      return problem.choices?.length ? { text: t("problem.linked"), next: "together", with: problem.choices } : { text: t("problem.linked.full"), next: "others" };
    case "repeat_limit":
      return { text: problem.taken ? t("problem.repeat", { n: problem.taken }) : t("problem.repeat.any") };
    case "restricted":
      return { text: t("problem.restricted"), next: "others" };
    case "section_full":
      if (problem.reserved) return { text: t("problem.reserved"), next: problem.waitlist_open ? "waitlist" : "others" };
      return problem.waitlist_open ? { text: t("problem.full", { n: problem.waitlisted ?? 0 }), next: "waitlist" } : { text: t("problem.full.no_waitlist"), next: "others" };
    case "waitlist_full":
      return { text: t("problem.waitlist_full"), next: "others" };
    case "swap_refused":
      return { text: t("problem.swap") };
    case "outcome_unknown":
      return { text: t("problem.unknown"), next: "check" };
    case "no_answer":
      return { text: t("problem.no_answer"), next: "retry" };
    case "overloaded":
    case "rate_limited":
      return { text: busyText(problem), next: "retry" };
    case "unauthenticated":
      return { text: t("sign.expired"), next: "sign" };
    case "not_found":
      return { text: t("problem.gone") };
    default:
      return { text: problemText(problem), next: problem.status >= 500 ? "retry" : undefined };
  }
}
