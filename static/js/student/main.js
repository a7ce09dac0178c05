// Entry point of the student's page: the search and its first rows. The rest of the page (page.js) loads after them.

import { takeResponse } from "./first.js";
import { $, put } from "../dom.js";
import { api, Problem, waitBeforeRetry } from "../api.js";
import { addTexts, onLanguage, t } from "../i18n.js";
import { drawIcons } from "../icons.js";
import { Catalogue } from "../catalogue.js";
import { Terms } from "../terms.js";
import { hideCountsBelow } from "../words.js";
import { Finder } from "./finder.js";

/** The rest of the page loads after this time, even if there are no rows yet. */
const FIRST_ROWS_MS_MAX = 3_000;

/** `page.js` and the modules that it imports, which would load one after another otherwise. */
const REST = ["./page.js", "../session.js", "../live.js", "../alerts.js", "../seats.js", "./opening.js"];

let loadingMore = null;

/**
 * The parts that the modules of this page share. `page.js` and `Workspace` add the parts that the first rows do not
 * need.
 */
export const page = {
  narrow: matchMedia("(max-width: 73.69em)"),
  /** Returns the signed-in user: undefined until the hub has responded, null for a visitor. */
  user: () => page.present.user,
  /** The workspace of the signed-in student, else null. */
  get workspace() {
    return page.present.user?.role === "student" ? page.present.workspace : null;
  },
  /** Set by page.js. The workspace is created when the first student signs in, and stays. */
  present: { user: undefined, workspace: null },
  /** Returns a section with its newest seat counts. */
  numbers: (id) => ({ ...page.catalogue.get(id), ...page.seats?.get(id), ...page.workspace?.ownSeats.get(id) }),
  /** The features that few visits need; null until `loadMore` has loaded them. */
  more: null,
  /** Loads `more` and returns it, or null if it cannot be loaded now. */
  loadMore: () => loadingMore ??= Promise.all([load("./more.js"), addTexts("more").catch(noAnswer), rest])
    .then(([{ More }]) => (page.more ??= new More(page, changed)), () => (loadingMore = null)),
  /** Announces a text to screen readers. */
  announce: (text) => put($("spoken"), text),
};

/** Resolves when there are first rows, or when it is known that there are none for now. */
let firstRowsAreDrawn;
const firstRows = new Promise((resolve) => { firstRowsAreDrawn = resolve; });

api.early = takeResponse;
drawIcons();
page.catalogue = new Catalogue((id) => page.seats?.get(id) ?? page.catalogue.get(id), () => {
  page.oncatalogue?.();
  page.finder.catalogueChanged();
  if (page.catalogue.state !== "loading") firstRowsAreDrawn();
});
page.terms = new Terms($("which-term"), {
  chosen: new URLSearchParams(location.search).get("term") ?? undefined,
  onchange: () => termChanged(),
  ontick: () => { page.opening?.tick(); page.workspace?.tick(); },
});
page.finder = new Finder(page);
onLanguage(() => changed(null, true));
page.finder.search();

/** The first reading of the terms. It does not wait for the user, whom the hub knows by the cookie. */
export const firstTerms = page.terms.load();
firstTerms.then(() => {
  // As for a visitor. For any other user, page.js soon shows all counts.
  hideCountsBelow(page.terms.college?.small_counts);
  if (!page.terms.current) firstRowsAreDrawn();
}, firstRowsAreDrawn);
setTimeout(firstRowsAreDrawn, FIRST_ROWS_MS_MAX);
// The rest of the page shows the other views.
if (!["", "#find"].includes(location.hash)) firstRowsAreDrawn();
const rest = firstRows.then(() => loadAll(REST));

/** Imports modules and returns them; without a connection, tries again and again. */
export async function loadAll(paths) {
  for (let failure = null; ;) try {
    return await Promise.all(paths.map((path) => import(path)));
  } catch (error) {
    // A module that fails when it is run fails each time with the same error.
    if (error === failure) throw error;
    failure = error;
    await waitBeforeRetry({});
  }
}

/** Imports a module; a failure is a `no_answer` problem. */
export function load(path) {
  return import(path).catch(noAnswer);
}

export function noAnswer() {
  throw new Problem({ status: 0, code: "no_answer" });
}

let phase = null;

/** Shows another term, or another phase of the current one. */
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

let due = 0;
let dueIds = new Set();
let dueMine = false;

/** Redraws these sections in the next frame; null is everything. `mine`: registrations or the plan changed, too. */
export function changed(ids, mine = false) {
  page.registrations?.recordBlocked();
  if (ids === null || dueIds === null) dueIds = null;
  else for (const id of ids) dueIds.add(id);
  dueMine ||= mine || ids === null || ids.some((id) => page.workspace?.has(id));
  due ||= document.hidden ? setTimeout(draw, 200) : requestAnimationFrame(draw);
}

function draw() {
  const ids = dueIds;
  [due, dueIds] = [0, new Set()];
  // Every row shows its conflict with the student's week, so a change to the week redraws all of them.
  page.finder.redraw(dueMine ? null : ids);
  page.more?.draw();
  if (dueMine) {
    page.opening?.draw();
    page.workspace?.draw();
  }
  dueMine = false;
}
