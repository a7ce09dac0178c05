// The page of instructors: the sections that name them, each with its roster.

import { $, h, put } from "./dom.js";
import { api } from "./api.js";
import { setZone, t } from "./i18n.js";
import { setUpSheet } from "./print-sheet.js";
import { hasRole, startPage } from "./session.js";
import { Roster } from "./staff/roster.js";
import { componentName, meetingTexts, problemText } from "./words.js";

/** Returns a section that can be opened to show its roster, which is printed with the title of the term. */
function sectionItem(section, term) {
  const name = `${section.course} ${section.section ?? ""} (${section.crn})`;
  const facts = [meetingTexts(section).join("; "), t("section.taken", { n: section.capacity, taken: section.enrolled })];
  const component = componentName(section);
  const roster = new Roster(section.id, name, { facts: [term, [section.title, component].filter(Boolean).join(", "), ...facts] });
  // The roster is read when it is opened: each read is recorded as a disclosure.
  const ontoggle = ({ currentTarget }) => currentTarget.open && roster.load();
  return h("details", { ontoggle }, h("summary", null, h("strong", { dir: "auto" }, name), " ", section.title && [h("span", { dir: "auto" }, section.title), ", "], [component, ...facts].filter(Boolean).join(", ")), roster.el);
}

/** The titles of the terms by their ids; empty if they cannot be read. */
const titlesOfTerms = api.get("/api/v1/terms").then(({ items, college }) => {
  $("college").textContent = college.name;
  setZone(college.timezone);
  return new Map(items.map(({ id, title }) => [id, title]));
}, () => new Map());

async function show(user) {
  put($("sections"));
  const allowed = hasRole(user, "instructor");
  put($("status"), user && !allowed && t("teaching.no_access"));
  if (!allowed) return;
  const { epoch } = api;
  try {
    const [{ items }, titles] = await Promise.all([api.get("/api/v1/me/teaching?limit=1000"), titlesOfTerms]);
    if (epoch !== api.epoch) return;
    const terms = [...new Set(items.map(({ term }) => term))].reverse();
    put($("status"), !items.length && t("teaching.none"));
    const title = (term) => titles.get(term) || t("teaching.term", { term });
    put($("sections"), terms.map((term) => h("section", null, h("h3", { dir: "auto" }, title(term)),
      items.filter((section) => section.term === term).map((section) => sectionItem(section, title(term))))));
  } catch (problem) {
    put($("status"), problemText(problem));
  }
}

setUpSheet();
startPage({ form: $("sign-in"), onuser: show, introduction: () => t("teaching.about") });
