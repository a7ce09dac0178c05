// The audience of an alert: from the form to the API, and as text.

import { t } from "../i18n.js";
import { joinList } from "../words.js";

const split = (text, separator) => text.split(separator).map((item) => item.trim()).filter(Boolean);
const ROLES = ["student", "instructor", "staff", "admin"];
/** A longer list of sections, courses or users is shown as a number. */
export const LISTED_MAX = 3;

/** Returns the form's audience as the API takes it; undefined if no one is selected. A bare CRN belongs to `term`. */
export function audienceOf(form, term) {
  const data = new FormData(form);
  if (data.get("to") === "all") return { all: true };
  const audience = {
    roles: data.getAll("roles"),
    sections: split(data.get("sections"), /[\s,;]+/).map((id) => id.includes("-") ? id : `${term}-${id}`),
    courses: split(data.get("courses").toUpperCase(), /[,;\n]+/),
    users: split(data.get("users"), /[\s,;]+/),
  };
  const selected = Object.entries(audience).filter(([, list]) => list.length);
  return selected.length ? Object.fromEntries(selected) : undefined;
}

/** Returns an audience as text: `all students and MATH 151`. */
export function audienceText({ all, roles = [], sections = [], courses = [], users = [] }, nameOf = (id) => id) {
  if (all) return t("audience.all");
  const listOrCount = (list, key, name = (item) => item) =>
    list.length > LISTED_MAX ? [t(key, { n: list.length })] : list.map(name);
  return joinList([
    ...roles.map((role) => ROLES.includes(role) ? t(`audience.${role}`) : role), ...listOrCount(sections, "n.sections", nameOf),
    ...listOrCount(courses, "n.courses"), ...listOrCount(users, "n.users"),
  ]);
}

/** Returns the reach as text: `214 people and all visitors`. `people` is undefined if the hub did not return it. */
export const reachText = (audience, people) =>
  joinList([people === undefined ? t("audience.recipients") : t("n.people", { n: people }), audience.all && t("audience.visitors")].filter(Boolean));
