// The student's page apart from its first rows: sign-in, live seats, alerts, registration, and a student's workspace.

import { $, button, openView, put } from "../dom.js";
import { Alerts } from "../alerts.js";
import { isTransient, waitBeforeRetry } from "../api.js";
import { addTexts, t } from "../i18n.js";
import { Seats } from "../seats.js";
import { clearNote, openSignIn, setUpViews, showNote, startPage, trackHeaderHeight } from "../session.js";
import { hideCountsBelow, joinList, problemText, seatStatus } from "../words.js";
import { changed, firstTerms, load, loadAll, noAnswer, page } from "./main.js";
import { Opening } from "./opening.js";

const STUDENT_KEY = "eduhub.student";
const WATCH_KEY = "eduhub.watch";
/** Parts of an address that only the modules of `more.js` show. */
const MORE_IN_ADDRESS = /[?&](section|time|mode|campus|credits|instructor|fits)=/;
/**
 * The pause between checks of whether requests must be repeated: while no socket can connect, while the term is not
 * open, or while a hold blocks the student.
 */
const REPEAT_CHECK_MS = 1_000;

/** The user and the workspace, see main.js. */
const { present } = page;
/** Returns how far the rows are from the top of the page, in pixels. */
const rowsTop = () => $("rows").getBoundingClientRect().top + scrollY;
/** How far they were before the header named the user; null afterward. */
let rowsAt = rowsTop();
/** The first reading of the terms, until it is used. */
let reading = firstTerms;
let followedTerm = null;
/** The section that a visitor chose to plan. It is added after the sign-in. */
let sectionToPlan = null;
/** A request that an expired sign-in prevented: `{username, sections, again()}`. Offered after the next sign-in. */
let interrupted = null;

trackHeaderHeight();
// A skip link leaves the address alone, since the fragment chooses the view.
for (const link of document.querySelectorAll(".skip")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    skipTo(link.hash);
  });
}
setUpViews("find", () => page.narrow.matches);

/** Remembers a request that was refused because the sign-in had ended. */
page.interrupted = (ids, again) => {
  interrupted = { username: present.user?.username, sections: joinList(ids.map(page.catalogue.name)), again };
  if (present.user === null) showInterrupted();
};
/** Leads a visitor to the sign-in form; after the sign-in, the section is added to the plan. */
page.signInToPlan = (id) => {
  sectionToPlan = id;
  put($("sign-in").querySelector(".why"), t("sign.for_plan", { section: page.catalogue.name(id) }));
  openSignIn($("sign-in"));
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
page.oncatalogue = followSeats;
followSeats();
page.opening = new Opening(page);
const alerts = page.alerts = new Alerts(page.live);
// Most visits need no repeated requests.
const repeating = setInterval(async () => {
  if (page.live.failures === 0 && !page.terms.isHeld && (page.terms.open || !page.terms.loaded)) return;
  clearInterval(repeating);
  const [{ pollTerms, pollWhileDisconnected }] = await loadAll(["../poll.js"]);
  pollTerms(page.terms);
  pollWhileDisconnected(page.live, () => Promise.all([page.seats.read(), alerts.refresh(), page.workspace && page.registrations.load()]));
}, REPEAT_CHECK_MS);

// Registrations and terms may have changed while the page was disconnected. Seats and alerts resume on their own.
page.live.on("window", (frame) => page.terms.opened(frame));
page.live.on("term", (frame) => page.terms.changed(frame));
page.live.on("welcome", () => {
  if (page.live.position !== null) page.terms.reconnected();
  if (page.workspace) page.registrations.load().catch(() => {});
});
page.opening.draw();

// The first view needs neither the workspace, which loads once a student is likely to sign in, nor the announcements.
const loadWorkspaceModule = () => Promise.all([load("./workspace.js"), addTexts("student").catch(noAnswer)]).then(([module]) => { alerts.ontexts(); return module; });
try { if (localStorage.getItem(STUDENT_KEY)) loadWorkspaceModule().catch(() => {}); } catch { /* Storage is unavailable. */ }
$("sign-in").addEventListener("focusin", () => loadWorkspaceModule().catch(() => {}), { once: true });
try { if (MORE_IN_ADDRESS.test(location.search) || localStorage.getItem(WATCH_KEY)) page.loadMore(); } catch { /* Storage is unavailable. */ }
let announcements = null;
const showAnnouncements = () => {
  if (location.hash !== "#alerts" || present.user === undefined) return;
  announcements ??= load("./announcements.js").then(({ Announcements }) => new Announcements()).catch(() => (announcements = null));
};
addEventListener("hashchange", showAnnouncements);
let myData = null;
const showMyData = () => {
  if (!$("my-data").open || !present.user) return;
  myData ??= load("./my-data.js").then(({ MyData }) => new MyData(page)).catch(() => (myData = null));
  myData.then((shown) => shown?.load());
};
$("my-data").addEventListener("toggle", showMyData);

/**
 * Returns whether the catalogue lacks a section, or its status and its live counts disagree about whether it is closed.
 */
function isOutdated(id) {
  const section = page.catalogue.get(id);
  if (!section) return true;
  const { kind } = seatStatus({ ...section, ...page.seats.get(id) });
  return section.status !== "cancelled" && (kind === "closed") !== (section.status === "closed") && kind !== "full";
}

/**
 * Says that a press had no effect because the sign-in had ended: in the sign-in form, and in a note where that is not
 * visible.
 */
function showInterrupted() {
  const text = t("sign.interrupted", interrupted);
  put($("sign-in").querySelector("[role=status]"), text);
  if (!$("sign-in").checkVisibility()) showNote(text, "expired", button(t("sign.in"), () => openSignIn($("sign-in"))));
}

/** Offers the same student the request that an expired sign-in has prevented. */
function offerInterrupted() {
  const { username, sections, again } = interrupted ?? {};
  interrupted = null;
  if (!again || username !== present.user?.username) return;
  showNote(t("sign.resume", { sections }), "resume", button(t("find.retry"), () => { clearNote("resume"); again(); }, { class: "primary" }));
}

async function setUser(user) {
  present.user = user;
  keepRowsInPlace();
  if (!user && interrupted) showInterrupted();
  alerts.setUser(user);
  present.workspace?.clear();
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
    await Promise.all([readTerms(), next?.role === "student" && loadWorkspace()]);
    if (present.user !== next) return;
    put($("college"), page.terms.college?.name);
    hideCountsBelow(next ? 0 : page.terms.college?.small_counts);
    if (!page.terms.current) page.finder.search();
    clearNote("start");
  } catch (problem) {
    if (present.user !== next) return;
    showNote(problemText(problem), "start");
    if (isTransient(problem)) waitBeforeRetry(problem).then(() => present.user === next && loadFor(next));
  }
  changed(null, true);
}

/**
 * Scrolls by the height that the header gains with the first user, because the rows below it can already be pressed.
 */
function keepRowsInPlace() {
  if (rowsAt !== null && $("rows").children.length && $("rows").checkVisibility()) scrollBy({ top: rowsTop() - rowsAt, behavior: "instant" });
  rowsAt = null;
}

/** Reads the terms; at the start of the page, main.js has begun to. */
async function readTerms() {
  const first = reading;
  reading = null;
  if (!first) return page.terms.load();
  try {
    await first;
  } catch (problem) {
    // An invalid cookie, which the hub has cleared since.
    if (problem.status !== 401) throw problem;
    await page.terms.load();
  }
}

async function loadWorkspace() {
  const { Workspace } = await loadWorkspaceModule();
  present.workspace ??= new Workspace(page, changed);
  await present.workspace.load();
  page.more?.filters.weekLoaded();
  if (sectionToPlan) page.plan.add(sectionToPlan);
  sectionToPlan = null;
  offerInterrupted();
}

/** Moves the focus to the search, to the schedule or to the registration button, in the view that holds it. */
function skipTo(hash) {
  openView({ "#q": "#find", "#schedule": "#term" }[hash] ?? location.hash, () => {
    const target = { "#q": $("q"), "#schedule": document.querySelector("[data-view-name=term]"), "#opening": $("register-all") ?? $("opening") }[hash];
    if (!target.matches("input, button")) target.tabIndex = -1;
    target.focus();
  });
}

/** Follows the seats of a term from the `seq` of its first sections. */
function followSeats() {
  const { term, state, first } = page.catalogue;
  if (followedTerm === term || state === "loading") return;
  followedTerm = term;
  page.seats.follow(term, state === "failed" ? undefined : first.seq);
}
