// The staff page: which desk hears of what. They start once somebody of the staff is here.

import { $, put } from "./dom.js";
import { Alerts } from "./alerts.js";
import { AlertDesk } from "./alert-desk.js";
import { Catalogue } from "./catalogue.js";
import { drawIcons } from "./icons.js";
import { ImportDesk } from "./import-desk.js";
import { pollWithout } from "./poll.js";
import { Seats } from "./seats.js";
import { may, measureTop, note, start, views } from "./session.js";
import { Now } from "./staff/now.js";
import { Sections } from "./staff/sections.js";
import { TermDesk } from "./term-desk.js";
import { Terms } from "./terms.js";
import { sentence } from "./words.js";

let followed = null;
drawIcons();
measureTop();
views("now");

const page = {
  numbers: (id) => page.seats.get(id) ?? page.catalogue.get(id),
  show: (id) => {
    location.hash = "#sections";
    sections.show(id);
  },
};
const live = start({ form: $("sign-in"), onuser: (user) => arrive(user) });
const before = new Map();
page.seats = new Seats(live, (ids) => changed(ids));
page.catalogue = new Catalogue(page.numbers, () => arrived());
const now = new Now(page);
const sections = new Sections(page);
const desk = new AlertDesk((alert) => alerts.show(alert));
const alerts = new Alerts(live, { cancel: (alert) => desk.cancel(alert) });
const imports = new ImportDesk(live, () => reload());
const termDesk = new TermDesk(() => terms.load().catch(() => {}));
const terms = new Terms($("which-term"), { onchange: () => turn() });
pollWithout(live, () => Promise.all([page.seats.read(), alerts.read()]));

async function arrive(user) {
  alerts.forget();
  $("desk").hidden = !may(user, "staff");
  put($("refused"), user && !may(user, "staff") && "This page is for the college's staff. Sign out, and sign in as somebody of the staff.");
  if (!may(user, "staff")) return;
  try {
    await Promise.all([termDesk.load(), terms.load()]);
    put($("college"), terms.college?.name);
    desk.reach();
    imports.resume();
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
  page.catalogue.load(term);
}

/** An import has changed the catalogue. */
function reload() {
  termDesk.load().catch(() => {});
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
