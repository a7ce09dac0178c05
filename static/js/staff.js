// The staff page: creates its views and passes live events to them.

import { $, openView, put } from "./dom.js";
import { Alerts } from "./alerts.js";
import { api, query } from "./api.js";
import { Catalogue } from "./catalogue.js";
import { t } from "./i18n.js";
import { drawIcons } from "./icons.js";
import { pollTerms, pollWhileDisconnected } from "./poll.js";
import { restoreForms } from "./reload.js";
import { Seats } from "./seats.js";
import { setUpSheet } from "./print-sheet.js";
import { hasRole, trackHeaderHeight, showNote, startPage, setUpViews } from "./session.js";
import { Composer } from "./staff/composer.js";
import { Demand } from "./staff/demand.js";
import { ImportView } from "./staff/import.js";
import { Overview } from "./staff/overview.js";
import { retryUntilLoaded } from "./staff/retry.js";
import { SectionList } from "./staff/section-list.js";
import { SentAlerts } from "./staff/sent-alerts.js";
import { StudentsView } from "./staff/students.js";
import { TermEditor } from "./staff/term-editor.js";
import { Terms } from "./terms.js";
import { joinList, problemText } from "./words.js";

/** Seat changes are drawn together, at most this often. */
const DRAW_MS = 50;

/** The id of the term that is shown. */
let currentTerm = null;
drawIcons();
trackHeaderHeight();
setUpViews("now");

/** The parts of this page and of its views that other views use. */
const page = {
  /** The subjects to which the user is limited; null without a limit. */
  subjects: null,
  mayEdit: (id) => !page.subjects || page.subjects.includes(page.catalogue.get(id)?.subject?.toUpperCase()),
  numbers: (id) => page.seats.get(id) ?? page.catalogue.get(id),
  nameOf: (id) => page.catalogue.name(id),
  ensure: (ids) => page.catalogue.ensure(ids),
  term: () => currentTerm,
  refused: () => overview.refused,
  /** Shows a section, which may be of a term other than the one shown. */
  show: async (id) => {
    const term = id.slice(0, id.lastIndexOf("-"));
    if (term !== currentTerm) {
      await selectTerm(term);
      await loadSections(term).catch(() => {});
    }
    openView("#sections", () => sections.show(id));
  },
  /** Opens the file of a student from a roster; `back()` is called when the roster is shown again. */
  openStudent: (person, back) => openView("#students", () => students.open(person, () => openView("#sections", back))),
  compose: (audience) => openView("#alerts", () => composer.compose(audience)),
  termTitle: (id) => terms.title(id),
  hasTerm: async (id) => {
    if (!terms.loaded) await terms.load();
    return terms.has(id);
  },
  hasOpening: async (id) => {
    await terms.load();
    return terms.hasOpening(id);
  },
  selectTerm: (id) => selectTerm(id),
  showTerm: async (id) => {
    await selectTerm(id);
    openView("#sections", () => $("section-search").elements.q.focus());
  },
};
const live = startPage({
  form: $("sign-in"), onuser: (user) => onUser(user), introduction: () => t("staff.about"),
});
const terms = new Terms($("which-term"), { onchange: () => onTerm(), onread: (response) => termEditor.show(response) });
pollTerms(terms);
/** Enrolled students by section, as of the last change, so that changes can be counted. */
const lastEnrolled = new Map();
page.seats = new Seats(live, (ids) => onSeats(ids));
page.catalogue = new Catalogue(page.numbers, () => onCatalogue());
const overview = new Overview(page);
const demand = new Demand(page);
const sections = new SectionList(page);
const students = new StudentsView(page);
const alerts = new Alerts(live);
const sentAlerts = new SentAlerts(live, {
  nameOf: page.nameOf,
  ensure: (ids) => page.catalogue.ensure(ids),
  correct: (alert) => composer.correct(alert),
  allClear: (alert) => composer.allClear(alert),
});
const composer = new Composer(page, () => sentAlerts.read());
const imports = new ImportView(live, page, () => onImportApplied());
const termEditor = new TermEditor(() => terms.load());
// The cards also show settings that the frame does not contain.
live.on("term", (frame) => { terms.changed(frame); terms.load().catch(() => {}); });
live.on("welcome", () => live.position !== null && terms.reconnected());
setUpSheet(() => document.body.dataset.view === "sections" ? sections.sheet() : []);
$("print-sections").addEventListener("click", () => print());
$("as-list").addEventListener("click", () => openView("#sections", () => sections.showFullest()));
pollWhileDisconnected(live, () => Promise.all([page.seats.read(), alerts.refresh()]));

/** Counts sign-ins, so that a response to the request of an earlier user is dropped. */
let signIns = 0;

async function onUser(user) {
  const signIn = ++signIns;
  const allowed = hasRole(user, "staff");
  alerts.setUser(user);
  if (!allowed) for (const view of [sentAlerts, overview, demand]) view.run(false);
  students.clear();
  $("desk").hidden = $("which-term").parentElement.hidden = !allowed;
  put($("no-access"), user && !allowed && t("staff.no_access"));
  if (!allowed) return api.get("/api/v1/terms").then(({ college }) => put($("college"), college?.name), () => {});
  showLimit(user.subjects);
  try {
    // The terms come first: they bring the hub's clock, by which everything else is drawn.
    await retryUntilLoaded("terms", () => terms.load(), () => signIn === signIns);
    if (signIn !== signIns) return;
    put($("college"), terms.college?.name);
    composer.begin();
    restoreForms(user);
    sentAlerts.run(true);
    imports.resume();
    overview.run(true);
    demand.run(true);
    if (currentTerm) onCatalogue();
  } catch (problem) {
    showNote(problemText(problem));
  }
}

/** Shows to which subjects the user is limited, if any, and hides what the hub refuses to limited staff. */
function showLimit(subjects) {
  page.subjects = subjects ?? null;
  put($("limit"), subjects && (subjects.length ? t("staff.limit", { subjects: joinList(subjects) }) : t("staff.no_subjects")));
  for (const el of document.querySelectorAll("[data-all-subjects]")) el.hidden = Boolean(subjects);
  if (subjects && location.hash === "#terms") location.hash = "#now";
  composer.limit(Boolean(subjects));
  sections.search();
}

/** Shows another term, which may be new. */
async function selectTerm(id) {
  await terms.load().catch(() => {});
  $("which-term").value = id;
  $("which-term").dispatchEvent(new Event("change"));
}

function onTerm() {
  const term = terms.current.id;
  if (term === currentTerm) return;
  currentTerm = term;
  $("export").href = `/api/v1/export/schedule.csv${query({ term })}`;
  $("exports").hidden = false;
  $("oneroster").href = `/api/v1/export/oneroster.zip${query({ term })}`;
  lastEnrolled.clear();
  overview.reset();
  demand.setTerm(term);
  page.seats.follow(term);
  // A problem that a retry cannot fix is shown above the section list.
  retryUntilLoaded("sections", () => loadSections(term), () => term === currentTerm).catch(() => {});
}

/** Loads the sections of a term unless they are loaded. */
async function loadSections(term) {
  const { catalogue } = page;
  if (catalogue.term !== term || catalogue.state !== "ready") await catalogue.load(term, undefined, { retry: false });
  if (catalogue.term === term && catalogue.state === "failed") throw catalogue.problem;
}

function onImportApplied() {
  terms.load().catch(() => {});
  if (currentTerm) page.catalogue.load(currentTerm);
}

function onCatalogue() {
  if (page.catalogue.state === "first" || page.catalogue.state === "partial") return;
  for (const id of page.catalogue.all) if (!lastEnrolled.has(id)) lastEnrolled.set(id, page.numbers(id).enrolled);
  sections.search();
  overview.build();
  demand.redraw();
  students.redraw();
}

let drawTimer = 0;
let changedIds = new Set();

/** Records the changed sections and draws them together; null means all sections. */
function onSeats(ids) {
  if (!ids) {
    for (const id of page.catalogue.all) lastEnrolled.set(id, page.numbers(id).enrolled);
    overview.redraw(null);
    return sections.redraw(null);
  }
  overview.recordChanges(ids.filter((id) => lastEnrolled.has(id)).map((id) => [id, page.numbers(id).enrolled - lastEnrolled.get(id)]));
  for (const id of ids) {
    if (page.numbers(id)) lastEnrolled.set(id, page.numbers(id).enrolled);
    changedIds.add(id);
  }
  drawTimer ||= setTimeout(() => {
    const ids = changedIds;
    [drawTimer, changedIds] = [0, new Set()];
    overview.redraw(ids);
    sections.redraw(ids);
  }, DRAW_MS);
}
