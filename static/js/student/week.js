// The week as a calendar: what is held is filled, what is planned outlined, what overlaps hatched.

import { h, put } from "../dom.js";
import { format, t } from "../i18n.js";
import { day, hours, kind as kindName, listed } from "../words.js";
import { blocks, pairs } from "./clash.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/** The hours that are shown at least. */
const FROM = 9, TO = 16;

/** Draws `sections` into `el`; `held(id)` says what is held. Gives the pairs that cannot be held together. */
export function drawWeek(el, sections, held) {
  const all = blocks(sections);
  const clashes = pairs(sections);
  const hatched = new Set(clashes.filter(({ kind }) => kind === "time").flatMap(({ a, b }) => [a.id, b.id]));
  const byId = new Map(sections.map((one) => [one.id, one]));
  const from = Math.min(FROM, ...all.map((one) => Math.floor(one.from / 60)));
  const to = Math.max(TO, ...all.map((one) => Math.ceil(one.to / 60)));
  const days = DAYS.filter((one, i) => i < 5 || all.some((block) => block.day === one));
  el.style.setProperty("--hours", to - from);
  el.style.setProperty("--days", days.length);
  const label = format({ hour: "numeric" }, "UTC");
  const scale = Array.from({ length: to - from }, (_, i) => {
    const text = label.format(new Date(Date.UTC(2000, 0, 1, from + i))).replaceAll(".", "");
    // Morning or afternoon is said where it begins; between, the hour is enough.
    return h("span", null, i === 0 || from + i === 12 ? text : text.replace(/\s*[AaPp]\.?\s?[Mm]\.?$/, ""));
  });
  put(el, h("div", { class: "scale", "aria-hidden": "true" }, scale), days.map((name) => {
    const own = all.filter((one) => one.day === name);
    return h("div", { class: "day" }, h("h3", null, h("span", { "aria-hidden": "true" }, day(name)), h("span", { class: "unseen" }, day(name, "long"))),
      h("ol", null, own.map((one) => block(one, byId.get(one.id), held(one.id), hatched.has(one.id), from))));
  }));
  return clashes;
}

function block({ id, from, to, start, end, lane, lanes }, section, held, clashing, first) {
  const kind = !held ? "planned" : held.status === "enrolled" ? "enrolled" : "waiting";
  const el = h("li", { class: `block ${kind}${clashing ? " clashing" : ""}${lanes > 1 ? " narrow" : ""}`, title: `${section.course} ${kindName(section)}, ${hours(start, end)}`, "data-id": id },
    courseName(section.course, lanes), h("span", { class: "unseen" }, ` ${kindName(section)}, ${hours(start, end)}, ${t(`week.${kind}`)}${clashing ? `, ${t("week.clashes")}` : ""}`));
  el.style.setProperty("--at", (from - first * 60) / 60);
  el.style.setProperty("--long", (to - from) / 60);
  el.style.setProperty("--lane", lane);
  el.style.setProperty("--lanes", lanes);
  return el;
}

/** `MATH 151`; where two share the width of a day, only its number is seen. */
function courseName(course, lanes) {
  const [subject, ...rest] = course.split(" ");
  const narrow = lanes > 1 && rest.length > 0;
  return h("strong", null, h("span", { class: narrow ? "unseen" : null }, subject), " ", h("span", null, rest.join(" ")));
}

/** The clashes in words. */
export function clashWords(clashes, nameOf) {
  return clashes.map(({ a, b, kind, at }) => kind === "same"
    ? t("week.same", { a: nameOf(a.id), b: nameOf(b.id) })
    : t("week.clash", { a: nameOf(a.id), b: nameOf(b.id), when: `${listed(at.days.map((one) => day(one)))} ${hours(at.start, at.end)}` }));
}
