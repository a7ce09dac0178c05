// Finds sections that a student cannot have together, by the hub's rules: they have the same course and component, or
// overlap, which means that their weekdays, times and date ranges all intersect.
// Pure functions: no page, no network, no clock.

const minutes = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

/** Returns where two meetings overlap, `{days, start, end}`, or null. An unknown date is open-ended. */
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

/** Returns the first overlap of two sections, or null. */
export function firstOverlap(one, other) {
  for (const a of one.meetings ?? []) {
    for (const b of other.meetings ?? []) {
      const found = overlap(a, b);
      if (found) return found;
    }
  }
  return null;
}

/** Returns whether two sections have the same course and component, so that a student can have only one of them. */
export const sameComponent = (one, other) => one.course === other.course && one.component === other.component;

/**
 * Returns the sections among `others` that a student cannot have with `section`: `{kind: "time"|"same", with: [id]}` or
 * null.
 */
export function findConflict(section, others) {
  const known = others.filter((other) => other && other.id !== section.id && other.status !== "cancelled");
  const same = known.filter((other) => sameComponent(section, other));
  if (same.length) return { kind: "same", with: same.map((other) => other.id) };
  const times = known.filter((other) => firstOverlap(section, other));
  return times.length ? { kind: "time", with: times.map((other) => other.id) } : null;
}

/** Returns the parts of the day in which each block of `blocks` overlaps another one that cannot be taken with it. */
export function overlappedParts(blocks, isConflict) {
  const parts = new Map(blocks.map((one) => [one, []]));
  for (const one of blocks) {
    for (const other of blocks) {
      const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)];
      if (one.day === other.day && from < to && isConflict(one.id, other.id)) parts.get(one).push({ from, to });
    }
  }
  return parts;
}

/** Returns all pairs that a student cannot have together: `{a, b, kind, at?}`. */
export function conflictingPairs(sections) {
  const found = [];
  sections.forEach((a, i) => sections.slice(i + 1).forEach((b) => {
    const at = firstOverlap(a, b);
    if (sameComponent(a, b)) found.push({ a, b, kind: "same" });
    else if (at) found.push({ a, b, kind: "time", at });
  }));
  return found;
}

/**
 * Returns the blocks of a week: `{id, day, from, to, start, end, lane, lanes}`, with `from` and `to` in minutes
 * since midnight. Blocks that overlap share the width of their day in `lanes` lanes.
 */
export function weekBlocks(sections) {
  const all = sections.flatMap((section) => (section.meetings ?? []).filter((one) => one.start && one.end)
    .flatMap((one) => one.days.map((day) => ({ id: section.id, day, from: minutes(one.start), to: minutes(one.end), start: one.start, end: one.end }))));
  // A section may meet at the same hours twice, in different date ranges.
  const seen = new Map(all.map((one) => [`${one.id} ${one.day} ${one.from} ${one.to}`, one]));
  const days = Map.groupBy ? Map.groupBy(seen.values(), (one) => one.day) : grouped([...seen.values()]);
  for (const day of days.values()) assignLanes(day);
  return [...seen.values()];
}

function grouped(items) {
  const days = new Map();
  for (const one of items) days.set(one.day, [...(days.get(one.day) ?? []), one]);
  return days;
}

function assignLanes(day) {
  day.sort((a, b) => a.from - b.from || a.to - b.to);
  let group = [], until = -1;
  const closeGroup = () => group.forEach((one) => { one.lanes = Math.max(...group.map(({ lane }) => lane)) + 1; });
  for (const one of day) {
    if (one.from >= until) {
      closeGroup();
      group = [];
    }
    const taken = group.filter((other) => other.to > one.from).map(({ lane }) => lane);
    one.lane = 0;
    while (taken.includes(one.lane)) one.lane += 1;
    group.push(one);
    until = Math.max(until, one.to);
  }
  closeGroup();
}
