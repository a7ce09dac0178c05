// Entry point of the student's page: creates its modules and connects them.

import { $, button, put } from "../dom.js";
import { Alerts } from "../alerts.js";
import { isTransient, Problem, waitBeforeRetry } from "../api.js";
import { addTexts, onLanguage, t } from "../i18n.js";
import { drawIcons } from "../icons.js";
import { pollTerms, pollWhileDisconnected } from "../poll.js";
import { Seats } from "../seats.js";
import { clearNote, setUpViews, showNote, startPage, trackHeaderHeight } from "../session.js";
import { hideCountsBelow, joinList, problemText, seatStatus } from "../words.js";
import { Catalogue } from "../catalogue.js";
import { Finder } from "./finder.js";
import { Opening } from "./opening.js";
import { Terms } from "../terms.js";

const STUDENT_KEY = "eduhub.student";
const WATCH_KEY = "eduhub.watch";
/** Parts of an address that only the modules of `more.js` show. */
const MORE_IN_ADDRESS = /[?&](section|time|mode|campus|credits|instructor|fits)=/;
/** The time after which the browser has shown another view of the page. */
const SHOWN_MS = 60;

/** The signed-in user: undefined until the hub has responded, null for a visitor. */
let user;
/** Created when the first student signs in. */
let workspace = null;
let followedTerm = null;
let loadingMore = null;
/** The section that a visitor chose to plan. It is added after the sign-in. */
let sectionToPlan = null;
/** A request that an expired sign-in prevented: `{username, sections, again()}`. Offered after the next sign-in. */
let interrupted = null;

drawIcons();
trackHeaderHeight();
// A skip link leaves the address alone, since the fragment chooses the view.
for (const link of document.querySelectorAll(".skip")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    skipTo(link.hash);
  });
}
const narrow = matchMedia("(max-width: 73.69em)");
setUpViews("find", () => narrow.matches);

/** What the modules of this page share. `Workspace` adds the parts that only a student has. */
const page = {
  narrow,
  user: () => user,
  /** The workspace of the signed-in student, else null. */
  get workspace() {
    return user?.role === "student" ? workspace : null;
  },
  /** A section with its newest seat counts. */
  numbers: (id) => ({ ...page.catalogue.get(id), ...page.seats.get(id), ...page.workspace?.ownSeats.get(id) }),
  /** The features that few visits need; null until `loadMore` has loaded them. */
  more: null,
  /** Resolves with `more`, or null if it cannot be loaded now. */
  loadMore: () => loadingMore ??= Promise.all([load("./more.js"), addTexts("more").catch(noAnswer)])
    .then(([{ More }]) => (page.more ??= new More(page, changed)), () => (loadingMore = null)),
  /** Announces a text to screen readers. */
  announce: (text) => put($("spoken"), text),
  /** Remembers a request that was refused because the sign-in had ended. */
  interrupted: (ids, again) => {
    interrupted = { username: user?.username, sections: joinList(ids.map(page.catalogue.name)), again };
    if (user === null) showInterrupted();
  },
  /** Leads a visitor to the sign-in form; after it, the section is added to the plan. */
  signInToPlan: (id) => {
    sectionToPlan = id;
    location.hash = "#term";
    put($("sign-in").querySelector(".why"), t("sign.for_plan", { section: page.catalogue.name(id) }));
    setTimeout(() => $("sign-in").querySelector("input")?.focus());
  },
};
page.live = startPage({
  form: $("sign-in"),
  onuser: (next) => setUser(next),
  introduction: () => t("sign.hint"),
  before: () => Promise.all([page.drops?.flush(), page.plan?.saved]),
});
page.seats = new Seats(page.live, (ids) => {
  if (ids?.some(isOutdated)) page.catalogue.refresh();
  changed(ids);
  page.workspace?.screenReader.seatsChanged(ids);
});
page.catalogue = new Catalogue((id) => page.seats.get(id) ?? page.catalogue.get(id), () => {
  followSeats();
  page.finder.catalogueChanged();
});
const opening = new Opening(page);
page.terms = new Terms($("which-term"), {
  chosen: new URLSearchParams(location.search).get("term") ?? undefined,
  onchange: () => termChanged(),
  ontick: () => { opening.tick(); page.workspace?.tick(); },
});
page.finder = new Finder(page);
const alerts = page.alerts = new Alerts(page.live);
pollTerms(page.terms);
pollWhileDisconnected(page.live, () => Promise.all([page.seats.read(), alerts.refresh(), page.workspace && page.registrations.load()]));

// Registrations may have changed while the page was disconnected. Seats and alerts resume on their own.
page.live.on("window", (frame) => page.terms.opened(frame));
page.live.on("term", (frame) => page.terms.changed(frame));
page.live.on("welcome", () => page.workspace && page.registrations.load().catch(() => {}));
onLanguage(() => changed(null, true));
page.finder.search();
opening.draw();

// The first view needs neither the workspace, which loads once a student is likely to sign in, nor the announcements.
const loadWorkspaceModule = () => Promise.all([load("./workspace.js"), addTexts("student").catch(noAnswer)]).then(([module]) => { alerts.ontexts(); return module; });
try { if (localStorage.getItem(STUDENT_KEY)) loadWorkspaceModule().catch(() => {}); } catch { /* Storage is unavailable. */ }
$("sign-in").addEventListener("focusin", () => loadWorkspaceModule().catch(() => {}), { once: true });
try { if (MORE_IN_ADDRESS.test(location.search) || localStorage.getItem(WATCH_KEY)) page.loadMore(); } catch { /* Storage is unavailable. */ }
let announcements = null;
const showAnnouncements = () => {
  if (location.hash !== "#alerts" || user === undefined) return;
  announcements ??= load("./announcements.js").then(({ Announcements }) => new Announcements()).catch(() => (announcements = null));
};
addEventListener("hashchange", showAnnouncements);
let myData = null;
const showMyData = () => {
  if (!$("my-data").open || !user) return;
  myData ??= load("./my-data.js").then(({ MyData }) => new MyData(page)).catch(() => (myData = null));
  myData.then((shown) => shown?.load());
};
$("my-data").addEventListener("toggle", showMyData);

/** Imports a module; a failure is a `no_answer` problem. */
function load(path) {
  return import(path).catch(noAnswer);
}

function noAnswer() {
  throw new Problem({ status: 0, code: "no_answer" });
}

/** Whether the catalogue lacks a section, or its status and its live counts disagree about whether it is closed. */
function isOutdated(id) {
  const section = page.catalogue.get(id);
  if (!section) return true;
  const { kind } = seatStatus({ ...section, ...page.seats.get(id) });
  return section.status !== "cancelled" && (kind === "closed") !== (section.status === "closed") && kind !== "full";
}

/** Says, in every view, that a press had no effect because the sign-in had ended. */
function showInterrupted() {
  const signIn = () => {
    location.hash = "#term";
    setTimeout(() => $("sign-in").querySelector("input")?.focus());
  };
  showNote(t("sign.interrupted", interrupted), "expired", button(t("sign.in"), signIn));
}

/** Offers the request that an expired sign-in prevented again, to the same student. */
function offerInterrupted() {
  const { username, sections, again } = interrupted ?? {};
  interrupted = null;
  if (!again || username !== user?.username) return;
  showNote(t("sign.resume", { sections }), "resume", button(t("find.retry"), () => { clearNote("resume"); again(); }, { class: "primary" }));
}

async function setUser(next) {
  user = next;
  if (!user && interrupted) showInterrupted();
  alerts.setUser(user);
  workspace?.clear();
  if (announcements) announcements.then((shown) => shown?.load());
  else showAnnouncements();
  const isStudent = user?.role === "student";
  $("schedule").hidden = !isStudent;
  $("my-data").hidden = !user;
  $("my-data").open = false;
  put($("not-student"), user && !isStudent && t("sign.not_student"));
  try { localStorage.setItem(STUDENT_KEY, isStudent ? "1" : ""); } catch { /* Storage is unavailable. */ }
  await loadFor(user);
}

/** Reads the terms and, for a student, the workspace. Retries transient failures while the user stays the same. */
async function loadFor(next) {
  try {
    await Promise.all([page.terms.load(), next?.role === "student" && loadWorkspace()]);
    if (user !== next) return;
    put($("college"), page.terms.college?.name);
    hideCountsBelow(next ? 0 : page.terms.college?.small_counts);
    if (!page.terms.current) page.finder.search();
    clearNote("start");
  } catch (problem) {
    if (user !== next) return;
    showNote(problemText(problem), "start");
    if (isTransient(problem)) waitBeforeRetry(problem).then(() => user === next && loadFor(next));
  }
  changed(null, true);
}

async function loadWorkspace() {
  const { Workspace } = await loadWorkspaceModule();
  workspace ??= new Workspace(page, changed);
  await workspace.load();
  page.more?.filters.weekLoaded();
  if (sectionToPlan) page.plan.add(sectionToPlan);
  sectionToPlan = null;
  offerInterrupted();
}

/** Moves the focus to the search, to the schedule or to the registration button, in the view that holds it. */
function skipTo(hash) {
  if (hash === "#q") location.hash = "#find";
  if (hash === "#schedule") location.hash = "#term";
  // The view changes first.
  setTimeout(() => {
    const target = { "#q": $("q"), "#schedule": document.querySelector("[data-view-name=term]"), "#opening": $("register-all") ?? $("opening") }[hash];
    if (!target.matches("input, button")) target.tabIndex = -1;
    target.focus();
  }, narrow.matches ? SHOWN_MS : 0);
}

let phase = null;

/** Shows another term, or another phase of the present one. */
function termChanged() {
  const term = page.terms.current.id;
  if (phase === "soon" && page.terms.open && page.catalogue.term === term) page.announce(t("term.opened"));
  phase = page.terms.phase();
  if (page.catalogue.term !== term) {
    page.workspace?.termChanged();
    page.catalogue.load(term, page.finder.filter);
  }
  changed(null, true);
}

/** Follows the seats of a term from the `seq` of its first sections. */
function followSeats() {
  const { term, state, first } = page.catalogue;
  if (followedTerm === term || state === "loading") return;
  followedTerm = term;
  page.seats.follow(term, state === "failed" ? undefined : first.seq);
}

let due = 0;
let dueIds = new Set();
let dueMine = false;

/** Redraws these sections in the next frame; null is everything. `mine`: registrations or the plan changed, too. */
function changed(ids, mine = false) {
  if (ids === null || dueIds === null) dueIds = null;
  else for (const id of ids) dueIds.add(id);
  dueMine ||= mine || ids === null || ids.some((id) => page.workspace?.has(id));
  due ||= document.hidden ? setTimeout(draw, 200) : requestAnimationFrame(draw);
}

function draw() {
  const ids = dueIds;
  [due, dueIds] = [0, new Set()];
  // Every row shows its conflict with the student's week, so a change of the week redraws all of them.
  page.finder.redraw(dueMine ? null : ids);
  page.more?.draw();
  if (dueMine) {
    opening.draw();
    page.workspace?.draw();
  }
  dueMine = false;
}
