// Which sections cannot be held together, by the hub's own rule: weekdays, times and date ranges all intersect.
// Pure: no page, no network, no clock.

const minutes = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

/** The hours in which two meetings overlap, `{days, start, end}`, or null. A date that is not known is open-ended. */
export function overlap(a, b) {
  if (!a.start || !b.start || !a.end || !b.end) return null;
  const days = (a.days ?? []).filter((day) => b.days?.includes(day));
  if (!days.length) return null;
  const start = a.start > b.start ? a.start : b.start;
  const end = a.end < b.end ? a.end : b.end;
  if (start >= end) return null;
  if ((a.ends_on && b.starts_on && a.ends_on < b.starts_on) || (b.ends_on && a.starts_on && b.ends_on < a.starts_on)) return null;
  return { days, start, end };
}

/** The first overlap of two sections, or null. */
export function clash(one, other) {
  for (const a of one.meetings ?? []) {
    for (const b of other.meetings ?? []) {
      const found = overlap(a, b);
      if (found) return found;
    }
  }
  return null;
}

/** Whether two sections are the same kind of class of one course: only one of them can be held. */
export const alike = (one, other) => one.course === other.course && one.component === other.component;

/** What keeps `section` from going together with `others`: `{kind: "time"|"same", with: [id]}` or null. */
export function against(section, others) {
  const known = others.filter((other) => other && other.id !== section.id && other.status !== "cancelled");
  const same = known.filter((other) => alike(section, other));
  if (same.length) return { kind: "same", with: same.map((other) => other.id) };
  const times = known.filter((other) => clash(section, other));
  return times.length ? { kind: "time", with: times.map((other) => other.id) } : null;
}

/** Every pair that cannot be held together: `{a, b, kind, at?}`. */
export function pairs(sections) {
  const found = [];
  sections.forEach((a, i) => sections.slice(i + 1).forEach((b) => {
    const at = clash(a, b);
    if (alike(a, b)) found.push({ a, b, kind: "same" });
    else if (at) found.push({ a, b, kind: "time", at });
  }));
  return found;
}

/**
 * The blocks of a week: `{id, day, from, to, lane, lanes}` with minutes of the day; blocks that touch share the width of
 * their day in lanes.
 */
export function blocks(sections) {
  const all = sections.flatMap((section) => (section.meetings ?? []).filter((one) => one.start && one.end)
    .flatMap((one) => one.days.map((day) => ({ id: section.id, day, from: minutes(one.start), to: minutes(one.end), start: one.start, end: one.end }))));
  // Half-terms: a section may meet at the same hours twice, with other dates.
  const seen = new Map(all.map((one) => [`${one.id} ${one.day} ${one.from} ${one.to}`, one]));
  const days = Map.groupBy ? Map.groupBy(seen.values(), (one) => one.day) : grouped([...seen.values()]);
  for (const day of days.values()) lanes(day);
  return [...seen.values()];
}

function grouped(items) {
  const days = new Map();
  for (const one of items) days.set(one.day, [...(days.get(one.day) ?? []), one]);
  return days;
}

function lanes(day) {
  day.sort((a, b) => a.from - b.from || a.to - b.to);
  let group = [], until = -1;
  const settle = () => group.forEach((one) => { one.lanes = Math.max(...group.map(({ lane }) => lane)) + 1; });
  for (const one of day) {
    if (one.from >= until) {
      settle();
      group = [];
    }
    const taken = group.filter((other) => other.to > one.from).map(({ lane }) => lane);
    one.lane = 0;
    while (taken.includes(one.lane)) one.lane += 1;
    group.push(one);
    until = Math.max(until, one.to);
  }
  settle();
}
