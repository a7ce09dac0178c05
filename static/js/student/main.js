// The student's page: which module hears of what.

import { $, put } from "../dom.js";
import { Alerts } from "../alerts.js";
import { passes, pause, Problem } from "../api.js";
import { onLanguage, t } from "../i18n.js";
import { drawIcons } from "../icons.js";
import { Seats } from "../seats.js";
import { measureTop, note, start, unnote, views } from "../session.js";
import { seats as seatWords, sentence } from "../words.js";
import { Catalogue } from "../catalogue.js";
import { Finder } from "./finder.js";
import { Opening } from "./opening.js";
import { Terms } from "../terms.js";

const STUDENT_KEY = "eduhub.student";

/** Who is here: undefined until the hub has said so, null for a visitor. */
let user;
/** What a student has; it stays loaded when that student leaves. */
let own = null;
let followed = null;
/** What a visitor wanted to plan: done as soon as somebody is signed in. */
let intent = null;

drawIcons();
measureTop();
const narrow = matchMedia("(max-width: 959px)");
views("find", () => narrow.matches);

/** What the modules of this page share. Own adds what only a student needs. */
const page = {
  narrow,
  user: () => user,
  /** What a student has, while one is here. */
  get own() {
    return user?.role === "student" ? own : null;
  },
  /** The newest numbers of a section. */
  numbers: (id) => ({ ...page.catalogue.get(id), ...page.seats.get(id) }),
  /** Read out: an answer, or another thing that somebody waits for. */
  say: (text) => put($("spoken"), text),
  signInFor: (id) => {
    intent = id;
    location.hash = "#term";
    put($("sign-in").querySelector(".why"), t("sign.for", { section: page.catalogue.name(id) }));
    setTimeout(() => $("sign-in").querySelector("input")?.focus());
  },
};
page.live = start({ form: $("sign-in"), onuser: (who) => arrive(who), why: () => t("sign.why"), before: () => Promise.all([page.drops?.flush(), page.plan?.saved]), onstate: () => ask() });
page.seats = new Seats(page.live, (ids) => {
  if (ids?.some(isNews)) page.catalogue.refresh();
  changed(ids);
  page.own?.speech.seats(ids);
});
page.catalogue = new Catalogue((id) => page.seats.get(id) ?? page.catalogue.get(id), () => {
  follow();
  page.finder.more();
});
const opening = new Opening(page);
page.terms = new Terms($("which-term"), {
  chosen: new URLSearchParams(location.search).get("term") ?? undefined,
  onchange: () => turn(),
  ontick: () => opening.tick(),
});
page.finder = new Finder(page);
const alerts = new Alerts(page.live);

// Whoever was away may have missed a change of the own week; the seats catch up by themselves.
page.live.on("welcome", () => page.own && page.mine.load().catch(() => {}));
onLanguage(() => changed(null, true));
page.finder.search();
opening.draw();

// What is not in the first view comes when it is needed: a student's own things as soon as one is expected, the
// college's news when the alerts are looked at.
try { if (localStorage.getItem(STUDENT_KEY)) part("./own.js").catch(() => {}); } catch { /* Nothing is remembered. */ }
$("sign-in").addEventListener("focusin", () => part("./own.js").catch(() => {}), { once: true });
let news = null;
const showNews = () => {
  if (location.hash !== "#alerts" || user === undefined) return;
  news ??= part("./news.js").then(({ News }) => new News()).catch(() => (news = null));
};
addEventListener("hashchange", showNews);

/** Behind some proxies no WebSocket gets through: then the page asks. */
let asking = null;
function ask() {
  if (!page.live?.failures) return;
  asking ??= part("../poll.js").then(({ pollWithout }) => pollWithout(page.live, () =>
    Promise.all([page.seats.read(), alerts.read(), page.own && page.mine.load()]))).catch(() => (asking = null));
}

/** A part of the page; one that does not arrive is an answer that did not come. */
function part(where) {
  return import(where).catch(() => { throw new Problem({ status: 0, code: "no_answer" }); });
}

/**
 * Whether a section is not what the list says: not there at all, or open there and closed by its numbers, or the other
 * way round, since the numbers carry no status.
 */
function isNews(id) {
  const section = page.catalogue.get(id);
  if (!section) return true;
  const { kind } = seatWords(page.seats.get(id) ?? section);
  return section.status !== "cancelled" && (kind === "closed") !== (section.status === "closed") && kind !== "full";
}

async function arrive(who) {
  user = who;
  alerts.forget(user);
  own?.forget();
  if (news) news.then((shown) => shown?.load());
  else showNews();
  const student = user?.role === "student";
  $("mine").hidden = !student;
  put($("not-student"), user && !student && t("sign.not_student"));
  try { localStorage.setItem(STUDENT_KEY, student ? "1" : ""); } catch { /* Not remembered. */ }
  await load(who);
}

/** Reads what the page is made of for whoever is here; again, as long as that may help. */
async function load(who) {
  try {
    await Promise.all([page.terms.load(), who?.role === "student" && ours()]);
    if (user !== who) return;
    put($("college"), page.terms.college?.name);
    if (!page.terms.current) page.finder.search();
    unnote("start");
  } catch (problem) {
    if (user !== who) return;
    note(sentence(problem), "start");
    if (passes(problem)) pause(problem).then(() => user === who && load(who));
  }
  changed(null, true);
}

/** Reads what the student who is here has. */
async function ours() {
  const { Own } = await part("./own.js");
  own ??= new Own(page, changed);
  await own.load();
  if (intent) page.plan.add(intent);
  intent = null;
}

let phase = null;

/** Another term, or another phase of this one. */
function turn() {
  const term = page.terms.current.id;
  if (phase === "soon" && page.terms.open && page.catalogue.term === term) page.say(t("term.opened"));
  phase = page.terms.phase();
  if (page.catalogue.term !== term) {
    page.own?.turn();
    page.catalogue.load(term, page.finder.filter);
  }
  changed(null, true);
}

/** The seats go on from where the first sections of a term have them. */
function follow() {
  const { term, state, first } = page.catalogue;
  if (followed === term || state === "loading") return;
  followed = term;
  page.seats.follow(term, state === "failed" ? undefined : first.seq);
}

let due = 0;
let dueIds = new Set();
let dueOwn = false;

/** Draws anew what may have changed, once for each picture; null is everything. `mine`: what is held or planned, too. */
function changed(ids, mine = false) {
  if (ids === null || dueIds === null) dueIds = null;
  else for (const id of ids) dueIds.add(id);
  dueOwn ||= mine || ids === null || ids.some((id) => page.own?.has(id));
  due ||= document.hidden ? setTimeout(draw, 200) : requestAnimationFrame(draw);
}

function draw() {
  const ids = dueIds;
  [due, dueIds] = [0, new Set()];
  // What cannot go together with the week is said in other rows, too.
  page.finder.redraw(dueOwn ? null : ids);
  if (dueOwn) {
    opening.draw();
    page.own?.draw();
  }
  dueOwn = false;
}
