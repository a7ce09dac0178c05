// The page of instructors: the sections that name them, each with its roster.

import { $, h, put } from "./dom.js";
import { api } from "./api.js";
import { setZone } from "./i18n.js";
import { hasRole, startPage } from "./session.js";
import { Roster } from "./staff/roster.js";
import { componentName, meetingTexts, problemText } from "./words.js";

const NONE = "No sections list you as their instructor. If one is missing, ask the registrar's office to list your full name or username in the schedule.";

/** A section that can be opened to show its roster. */
function sectionItem(section) {
  const name = `${section.course} ${section.section ?? ""} (${section.crn})`;
  const facts = [section.title, componentName(section), meetingTexts(section).join("; "), `${section.enrolled} of ${section.capacity} enrolled`];
  const roster = new Roster(section.id, name);
  // The roster is read when it is opened: each read is recorded as a disclosure.
  const ontoggle = ({ currentTarget }) => currentTarget.open && roster.load();
  return h("details", { ontoggle }, h("summary", null, h("strong", null, name), " ", facts.filter(Boolean).join(", ")), roster.el);
}

async function show(user) {
  put($("sections"));
  const allowed = hasRole(user, "instructor");
  put($("status"), user && !allowed && "This page is for instructors. Sign out, then sign in with an instructor account.");
  if (!allowed) return;
  const { epoch } = api;
  try {
    const { items } = await api.get("/api/v1/me/teaching?limit=1000");
    if (epoch !== api.epoch) return;
    const terms = [...new Set(items.map(({ term }) => term))].reverse();
    put($("status"), !items.length && NONE);
    put($("sections"), terms.map((term) => h("section", null, h("h3", null, `Term ${term}`),
      items.filter((section) => section.term === term).map(sectionItem))));
  } catch (problem) {
    put($("status"), problemText(problem));
  }
}

startPage({ form: $("sign-in"), onuser: show, introduction: () => "For instructors: the rosters of your sections." });
api.get("/api/v1/terms").then(({ college }) => {
  $("college").textContent = college.name;
  setZone(college.timezone);
}, () => { /* Without it, times are in the browser's own zone. */ });
