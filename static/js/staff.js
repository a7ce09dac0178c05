// The staff page: which desk hears of what. They start once somebody of the staff is here.

import { $, put } from "./dom.js";
import { Alerts } from "./alerts.js";
import { Catalogue } from "./catalogue.js";
import { drawIcons } from "./icons.js";
import { pollWithout } from "./poll.js";
import { Seats } from "./seats.js";
import { may, measureTop, note, start, views } from "./session.js";
import { untilHere } from "./staff/again.js";
import { Composer } from "./staff/composer.js";
import { ImportDesk } from "./staff/import.js";
import { Now } from "./staff/now.js";
import { Sections } from "./staff/sections.js";
import { Sent } from "./staff/sent.js";
import { TermDesk } from "./staff/term-desk.js";
import { Terms } from "./terms.js";
import { sentence } from "./words.js";

let followed = null;
drawIcons();
measureTop();
views("now");

const page = {
  numbers: (id) => page.seats.get(id) ?? page.catalogue.get(id),
  nameOf: (id) => page.catalogue.name(id),
  term: () => followed,
  refused: () => now.refused,
  show: (id) => go("#sections", () => sections.show(id)),
  write: (audience) => go("#alerts", () => composer.write(audience)),
  showTerm: async (id) => {
    await terms.load().catch(() => {});
    $("which-term").value = id;
    $("which-term").dispatchEvent(new Event("change"));
    go("#sections", () => $("section-search").elements.q.focus());
  },
};
const live = start({ form: $("sign-in"), onuser: (user) => arrive(user), why: () => "For the college's staff: schedules, sections and alerts." });
const terms = new Terms($("which-term"), { onchange: () => turn() });
const before = new Map();
page.seats = new Seats(live, (ids) => changed(ids));
page.catalogue = new Catalogue(page.numbers, () => arrived());
const now = new Now(page);
const sections = new Sections(page);
const alerts = new Alerts(live);
const sent = new Sent(live, page.nameOf);
const composer = new Composer(page, () => sent.read());
const imports = new ImportDesk(live, page, () => reload());
const termDesk = new TermDesk(() => terms.load().catch(() => {}));
$("as-list").addEventListener("click", () => go("#sections", () => sections.fullest()));
pollWithout(live, () => Promise.all([page.seats.read(), alerts.read()]));

/** Shows another part of the page, and does the rest once it is there. */
function go(hash, then) {
  if (location.hash === hash) return then();
  addEventListener("hashchange", then, { once: true });
  location.hash = hash;
}

/** Who is here, counted: what was asked for somebody who left is not shown. */
let arrivals = 0;

async function arrive(user) {
  const arrival = ++arrivals;
  alerts.forget(user);
  if (!may(user, "staff")) sent.run(false);
  $("desk").hidden = !may(user, "staff");
  put($("refused"), user && !may(user, "staff") && "This page is for the college's staff. Sign out, and sign in as somebody of the staff.");
  if (!may(user, "staff")) return;
  try {
    // What is open is drawn by the hub's clock, which comes with the terms.
    await untilHere("The terms", async () => { await terms.load(); await termDesk.load(); }, () => arrival === arrivals);
    if (arrival !== arrivals) return;
    put($("college"), terms.college?.name);
    composer.begin();
    sent.run(true);
    imports.resume();
    now.ask();
    if (followed) arrived();
  } catch (problem) {
    note(sentence(problem));
  }
}

function turn() {
  const term = terms.current.id;
  if (term === followed) return;
  followed = term;
  before.clear();
  now.forget();
  page.seats.follow(term);
  // What asking again does not mend is said above the list.
  untilHere("The sections", () => read(term), () => term === followed).catch(() => {});
}

/** Reads the sections of a term, unless they are here. */
async function read(term) {
  const { catalogue } = page;
  if (catalogue.term !== term || catalogue.state !== "ready") await catalogue.load(term, undefined, { patient: false });
  if (catalogue.term === term && catalogue.state === "failed") throw catalogue.problem;
}

/** An import has changed the catalogue. */
function reload() {
  for (const desk of [terms, termDesk]) desk.load().catch(() => {});
  if (followed) page.catalogue.load(followed);
}

function arrived() {
  if (page.catalogue.state === "first" || page.catalogue.state === "partly") return;
  for (const id of page.catalogue.all) if (!before.has(id)) before.set(id, page.numbers(id).enrolled);
  sections.search();
  now.lay();
}

let due = 0;
let news = new Set();

/** Draws what moved, once for each picture. */
function changed(ids) {
  if (!ids) {
    for (const id of page.catalogue.all) before.set(id, page.numbers(id).enrolled);
    now.redraw(null);
    return sections.redraw(null);
  }
  now.moved(ids.filter((id) => before.has(id)).map((id) => [id, page.numbers(id).enrolled - before.get(id)]));
  for (const id of ids) {
    if (page.numbers(id)) before.set(id, page.numbers(id).enrolled);
    news.add(id);
  }
  due ||= setTimeout(() => {
    const these = news;
    [due, news] = [0, new Set()];
    now.redraw(these);
    sections.redraw(these);
  }, 50);
}
