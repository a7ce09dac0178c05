// Who gets an alert: what the form says, as the hub takes it, and in words.

import { count, listed } from "../words.js";

const split = (text, by) => text.split(by).map((one) => one.trim()).filter(Boolean);
const ROLES = { student: "all students", staff: "all staff", admin: "all administrators" };
/** How many are named before the rest is counted. */
const NAMED = 3;

/** The audience of a form, or undefined while nobody is chosen. A CRN alone is one of `term`. */
export function audienceOf(form, term) {
  const data = new FormData(form);
  if (data.get("to") === "all") return { all: true };
  const given = {
    roles: data.getAll("roles"),
    sections: split(data.get("sections"), /[\s,;]+/).map((one) => /-/.test(one) ? one : `${term}-${one}`),
    courses: split(data.get("courses").toUpperCase(), /[,;\n]+/),
    users: split(data.get("users"), /[\s,;]+/),
  };
  const chosen = Object.entries(given).filter(([, list]) => list.length);
  return chosen.length ? Object.fromEntries(chosen) : undefined;
}

/** `all students and MATH 151`. */
export function audienceWords({ all, roles = [], sections = [], courses = [], users = [] }, nameOf = (id) => id) {
  if (all) return "everyone, visitors too";
  const named = (list, what, name = (one) => one) => list.length > NAMED ? [count(list.length, what)] : list.map(name);
  return listed([...roles.map((role) => ROLES[role] ?? role), ...named(sections, "section", nameOf), ...named(courses, "course"), ...named(users, "person named")]);
}

/** `214 people and every visitor`; `people` may not be known. */
export const reached = (audience, people) =>
  [people === undefined ? "those it is for" : count(people, "person", "people"), audience.all && "every visitor"].filter(Boolean).join(" and ");
