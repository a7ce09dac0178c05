// The student's page: which module hears of what.

import { $, put } from "../dom.js";
import { Alerts } from "../alerts.js";
import { onLanguage, t } from "../i18n.js";
import { drawIcons } from "../icons.js";
import { Seats } from "../seats.js";
import { measureTop, note, start, views } from "../session.js";
import { sentence, standing } from "../words.js";
import { Actions } from "./actions.js";
import { Catalogue } from "../catalogue.js";
import { Drops } from "./drops.js";
import { Finder } from "./finder.js";
import { Mine } from "./mine.js";
import { MyTerm } from "./my-term.js";
import { News } from "./news.js";
import { Opening } from "./opening.js";
import { Plan } from "./plan.js";
import { pollWithout } from "../poll.js";
import { Speech } from "./speech.js";
import { Terms } from "../terms.js";

/** After this another tab of the page has been shown. */
const SHOWN_MS = 60;

let user = null;
let followed = null;
/** What a visitor wanted to plan: done as soon as somebody is signed in. */
let intent = null;

drawIcons();
measureTop();
const narrow = matchMedia("(max-width: 959px)");
views("find", () => narrow.matches);

/** What the modules of this page share. */
const page = {
  user: () => user,
  /** What is in the week of this term: held, then planned. */
  week: () => {
    const term = page.terms.current?.id;
    const held = page.mine.inTerm(term).map(({ section }) => section);
    return [...held, ...page.plan.inTerm(term).filter((id) => !held.includes(id))];
  },
  /** What is planned and not held. */
  wanted: () => page.plan.inTerm(page.terms.current?.id).filter((id) => !page.mine.get(id)),
  /** Tries all of these in one press; on a phone the answers are brought into sight. */
  go: (ids) => {
    if (narrow.matches) {
      location.hash = "#term";
      setTimeout(() => $("lines").scrollIntoView(), SHOWN_MS);
    }
    return page.mine.all(ids);
  },
  signInFor: (id) => {
    intent = id;
    location.hash = "#term";
    put($("sign-in").querySelector(".why"), t("sign.for", { section: page.catalogue.name(id) }));
    setTimeout(() => $("sign-in").querySelector("input")?.focus());
  },
};
page.live = start({ form: $("sign-in"), onuser: (who) => arrive(who), why: () => t("sign.why"), before: () => page.drops.flush() });
page.seats = new Seats(page.live, (ids) => {
  if (ids?.some((id) => !page.catalogue.get(id))) page.catalogue.refresh();
  changed(ids);
  page.speech.seats(ids);
});
page.catalogue = new Catalogue((id) => page.seats.get(id) ?? page.catalogue.get(id), () => page.finder.more());
page.actions = new Actions(page);
page.speech = new Speech(page);
page.mine = new Mine(page, {
  onchange: (id) => changed(id && [id], true),
  onanswer: (ids) => page.speech.say(ids.map((id) => `${page.catalogue.name(id)}: ${page.actions.said(id)?.text ?? standing(page.mine.get(id))}`.replace(/\.?$/, ".")).join(" ")),
  onclosed: () => page.terms.load().catch(() => {}),
});
page.drops = new Drops((id, options) => page.mine.drop(id, options), (id) => changed([id], true));
page.plan = new Plan(page, (id) => changed(id && [id], true));
const opening = new Opening(page);
page.terms = new Terms($("which-term"), {
  chosen: new URLSearchParams(location.search).get("term") ?? undefined,
  onchange: () => turn(),
  ontick: () => opening.tick(),
});
const myTerm = new MyTerm(page);
page.finder = new Finder(page);
const alerts = new Alerts(page.live);
const news = new News();

// Whoever was away may have missed a change of the own week; the seats catch up by themselves.
page.live.on("welcome", () => user?.role === "student" && page.mine.load().catch(() => {}));
pollWithout(page.live, async () => {
  await Promise.all([page.seats.read(), alerts.read()]);
  if (user?.role === "student") await page.mine.load();
});
onLanguage(() => changed(null, true));
page.finder.search();
opening.draw();

async function arrive(who) {
  user = who;
  alerts.forget(user);
  news.arrive();
  page.drops.forget();
  page.mine.forget();
  page.plan.forget();
  myTerm.forget();
  put($("not-student"), user && user.role !== "student" && t("sign.not_student"));
  try {
    await page.terms.load();
    put($("college"), page.terms.college?.name);
    if (!page.terms.current) page.finder.search();
    if (user?.role === "student") {
      await Promise.all([page.mine.load(), page.plan.load()]);
      if (intent) page.plan.add(intent);
      intent = null;
    }
  } catch (problem) {
    note(sentence(problem));
    if (problem.code === "no_answer") setTimeout(() => user === who && arrive(who), 3000);
  }
  changed(null, true);
}

let phase = null;

/** Another term, or another phase of this one. */
function turn() {
  const term = page.terms.current.id;
  if (phase === "soon" && page.terms.open && followed === term) page.speech.say(t("term.opened"));
  phase = page.terms.phase();
  if (followed !== term) {
    followed = term;
    phase = page.terms.phase();
    myTerm.forget();
    page.seats.follow(term);
    page.catalogue.load(term, page.finder.filter);
  }
  changed(null, true);
}

let due = 0;
let dueIds = new Set();
let dueMine = false;

/** Draws anew what may have changed, once for each picture; null is everything. `own`: what is held or planned, too. */
function changed(ids, own = false) {
  if (ids === null || dueIds === null) dueIds = null;
  else for (const id of ids) dueIds.add(id);
  dueMine ||= own || ids === null || ids.some((id) => page.plan.has(id) || page.mine.get(id));
  due ||= document.hidden ? setTimeout(draw, 200) : requestAnimationFrame(draw);
}

function draw() {
  const ids = dueIds;
  [due, dueIds] = [0, new Set()];
  // What cannot go together with the week is said in other rows, too.
  page.finder.redraw(dueMine ? null : ids);
  if (dueMine) {
    opening.draw();
    myTerm.draw();
  }
  dueMine = false;
}
