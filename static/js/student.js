// The student's page: which module hears of what.

import { $, button, h, put } from "./dom.js";
import { Actions } from "./actions.js";
import { Alerts } from "./alerts.js";
import { Book } from "./book.js";
import { Catalogue, drawSeats } from "./catalogue.js";
import { News } from "./news.js";
import { Plan } from "./plan.js";
import { Registrations } from "./registrations.js";
import { Seats } from "./seats.js";
import { note, start, views } from "./session.js";
import { Terms } from "./terms.js";
import { count, listed, meetings, seats as seatWords } from "./words.js";

/** How often, at most, changes of seats are read out. */
const SPEAK_MS = 5_000;

let user = null;
let followed = null;
const kept = new Set();
const live = start({ form: $("sign-in"), onuser: (who) => arrive(who) });
const book = new Book();
const seats = new Seats(live, (ids) => { redraw(ids); speak(ids); });
const mine = new Registrations(live, book, {
  onchange: (id) => redraw(id && [id]),
  say: (text) => put($("spoken"), text),
  onclosed: () => terms.load().catch(() => {}),
});
const plan = new Plan(book, (id) => redraw(id && [id]));
const terms = new Terms($("term"), () => turn());
const page = { user: () => user, terms, seats, book, mine, plan, find: (course) => catalogue.find(course), redraw: (id) => redraw([id]) };
const actions = new Actions(page);
const catalogue = new Catalogue(page, actions);
const alerts = new Alerts(live);
const news = new News();
views("find");
// Whoever was away may have missed a change of the own week; the seats catch up by themselves.
live.on("welcome", () => user?.role === "student" && mine.load().catch(() => {}));

async function arrive(who) {
  user = who;
  alerts.forget();
  news.arrive();
  mine.forget();
  plan.forget();
  kept.clear();
  $("my-term").hidden = user?.role !== "student";
  put($("not-student"), user && user.role !== "student" && "You are signed in as staff. Only students hold seats of their own.");
  try {
    await terms.load();
    if (user?.role === "student") await Promise.all([mine.load(), plan.load()]);
  } catch (problem) {
    note(problem.message);
    if (problem.code === "no_answer") setTimeout(() => user === who && arrive(who), 3000);
  }
}

/** Another term, or another phase of this one. */
function turn() {
  const term = terms.current.id;
  redraw(null);
  if (followed === term) return;
  followed = term;
  kept.clear();
  seats.follow(term);
  catalogue.show(term);
}

function redraw(ids) {
  catalogue.redraw(ids);
  drawMine();
}

const lines = new Map();

/** One line of "My term"; kept, so that it does not move or lose focus. */
function line(list, id) {
  const key = `${list} ${id}`;
  const section = book.get(id);
  let it = lines.get(key);
  if (!it || it.section !== section) {
    const [numbers, act] = [h("div", { class: "seats" }), h("div", { class: "act" })];
    const el = h("li", null, h("div", null, h("strong", null, section?.course ?? id), ` ${section?.title ?? ""}`),
      section && h("small", null, [section.component, section.crn, ...meetings(section)].filter(Boolean).join(", ")), numbers, act);
    lines.set(key, it = { el, numbers, act, section });
  }
  if (section) drawSeats(it.numbers, actions.numbers(id), section.status);
  actions.draw(it.act, id, { planned: list === "plan" });
  return it.el;
}

function drawMine() {
  const term = terms.current;
  if (!term || user?.role !== "student") return;
  const held = mine.inTerm(term.id);
  // A planned section that was just taken keeps its line, with its answer, until the page is opened anew.
  for (const id of plan.inTerm(term.id)) if (!mine.get(id) || mine.doing(id)) kept.add(id);
  const planned = plan.inTerm(term.id).filter((id) => kept.has(id));
  const wanted = planned.filter((id) => !mine.get(id));
  fill($("held"), held.map(({ section }) => line("held", section)));
  fill($("planned"), planned.map((id) => line("plan", id)));
  $("none-held").hidden = held.length > 0;
  $("none-planned").hidden = planned.length > 0;
  const limit = term.mine?.credit_limit;
  const credits = held.filter((one) => one.status === "enrolled" && book.get(one.section)?.status !== "cancelled")
    .reduce((sum, one) => sum + one.credits, 0);
  put($("credits"), `${count(credits, "credit")}${limit ? ` of ${limit}` : ""}`);
  const busy = planned.some((id) => mine.doing(id));
  const label = busy ? "Adding…" : `Register for ${count(wanted.length, "section")}`;
  const key = `${label} ${terms.open} ${wanted} ${planned.length}`;
  if ($("go").dataset.key === key) return;
  $("go").dataset.key = key;
  put($("go"), planned.length > 0 && wanted.length === 0 ? h("p", { class: "none" }, "Everything planned is done.") : wanted.length > 0 && button(label, () => mine.plan(wanted), { class: "primary wide", disabled: busy || !terms.open }));
}

function fill(el, items) {
  for (const child of [...el.children]) if (!items.includes(child)) child.remove();
  items.forEach((item, i) => el.children[i] !== item && el.insertBefore(item, el.children[i] ?? null));
}

const kinds = new Map();
const turned = new Map();
let speaking = 0;

/** Reads out, in batches, what became full or free of what is planned, held or waited for. */
function speak(ids) {
  for (const id of ids ?? []) {
    const section = book.get(id);
    if (!section || !(plan.has(id) || mine.get(id))) continue;
    const { kind, text } = seatWords(actions.numbers(id), section.status);
    if (kinds.has(id) && kinds.get(id) !== kind) turned.set(id, text.toLowerCase());
    kinds.set(id, kind);
  }
  if (!turned.size || speaking) return;
  speaking = setTimeout(() => {
    put($("spoken"), `Now ${listed([...turned].map(([id, text]) => `${book.name(id)}: ${text}`))}.`);
    turned.clear();
    speaking = 0;
  }, SPEAK_MS);
}
