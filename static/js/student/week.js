// The week as a calendar. Registered sections are filled, planned ones outlined, overlapping ones hatched.

import { h, put } from "../dom.js";
import { format, t } from "../i18n.js";
import { componentName, joinList, timeRange, weekday } from "../words.js";
import { conflictingPairs, overlappedParts, weekBlocks } from "./conflicts.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/** A name with more characters is written in smaller letters, since it must fit into a fifth of the week. */
const NAME_LONG = 7;
/** The hours that are always shown. */
const FROM = 9, TO = 16;

/**
 * Draws `sections` into `el`; `registration(id)` returns a registration. Returns the pairs that a student cannot have
 * together, except pairs in which the student waits for one section in exchange for the other, or instead of it.
 */
export function drawWeek(el, sections, registration) {
  const all = weekBlocks(sections);
  const isExchange = (one, other) => {
    const { any_of: others, drop } = registration(one.id) ?? {};
    return [others, drop].flat().includes(other.id);
  };
  const conflicts = conflictingPairs(sections).filter(({ a, b }) => !isExchange(a, b) && !isExchange(b, a));
  const pairs = new Set(conflicts.filter(({ kind }) => kind === "time").flatMap(({ a, b }) => [`${a.id} ${b.id}`, `${b.id} ${a.id}`]));
  const hatched = overlappedParts(all, (a, b) => pairs.has(`${a} ${b}`));
  const byId = new Map(sections.map((one) => [one.id, one]));
  const from = Math.min(FROM, ...all.map((one) => Math.floor(one.from / 60)));
  const to = Math.max(TO, ...all.map((one) => Math.ceil(one.to / 60)));
  const days = DAYS.filter((one, i) => i < 5 || all.some((block) => block.day === one));
  el.style.setProperty("--hours", to - from);
  el.style.setProperty("--days", days.length);
  // In half of a day's width, or if there are six or seven days, the name of a course needs two lines.
  el.classList.toggle("tight", days.length > 5 || all.some(({ lanes }) => lanes > 1));
  const label = format({ hour: "numeric" }, "UTC");
  const scale = Array.from({ length: to - from }, (_, i) => {
    const text = label.format(new Date(Date.UTC(2000, 0, 1, from + i))).replaceAll(".", "");
    // AM or PM appears only at the first hour and at noon.
    return h("span", null, i === 0 || from + i === 12 ? text : text.replace(/\s*[AaPp]\.?\s?[Mm]\.?$/, ""));
  });
  put(el, h("div", { class: "scale", "aria-hidden": "true" }, scale), days.map((name) => {
    const blocks = all.filter((one) => one.day === name);
    return h("div", { class: "day" }, h("h3", null, h("span", { "aria-hidden": "true" }, weekday(name)), h("span", { class: "unseen" }, weekday(name, "long"))),
      h("ol", null, blocks.map((one) => block(one, byId.get(one.id), registration(one.id), hatched.get(one), { first: from, days: days.length }))));
  }));
  return conflicts;
}

function block({ id, from, to, start, end, lane, lanes }, section, registration, parts, { first, days }) {
  const overlapping = parts.length > 0;
  const kind = !registration ? "planned" : registration.status === "enrolled" ? "enrolled" : "waiting";
  const el = h("li", { class: `block ${kind}${overlapping ? " overlapping" : ""}${lanes > 1 ? " narrow" : ""}${section.course.length > NAME_LONG ? " long" : ""}${lanes > 2 || (lanes > 1 && days > 5) ? " upright" : ""}`, title: `${section.course} ${componentName(section)}, ${timeRange(start, end)}`, "data-id": id },
    parts.map((part) => hatch(part, { from, to })), courseName(section.course), h("span", { class: "unseen" }, ` ${componentName(section)}, ${timeRange(start, end)}, ${t(registration?.status === "offered" ? "week.offered" : `week.${kind}`)}${overlapping ? `, ${t("week.overlaps")}` : ""}`));
  el.style.setProperty("--at", (from - first * 60) / 60);
  el.style.setProperty("--long", (to - from) / 60);
  el.style.setProperty("--lane", lane);
  el.style.setProperty("--lanes", lanes);
  return el;
}

/** Returns the hatching of the part of a block that overlaps another one. */
function hatch(part, block) {
  const el = h("span", { class: "hatch", "aria-hidden": "true" });
  el.style.top = `${100 * (part.from - block.from) / (block.to - block.from)}%`;
  el.style.height = `${100 * (part.to - part.from) / (block.to - block.from)}%`;
  return el;
}

/** Returns the name of a course, such as `MATH 151`, in two lines where the block is narrow. */
function courseName(course) {
  const space = course.lastIndexOf(" ");
  const [subject, number] = space < 0 ? [course, ""] : [course.slice(0, space), course.slice(space + 1)];
  return h("strong", null, h("span", null, subject), " ", h("span", null, number));
}

/** Describes the conflicts, one text for each. */
export function conflictTexts(conflicts, nameOf) {
  return conflicts.map(({ a, b, kind, at }) => kind === "same"
    ? t("week.same", { a: nameOf(a.id), b: nameOf(b.id) })
    : t("week.overlap", { a: nameOf(a.id), b: nameOf(b.id), when: `${joinList(at.days.map((one) => weekday(one)))} ${timeRange(at.start, at.end)}` }));
}
