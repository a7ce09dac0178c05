// Earlier alerts: all that was sent, without what is in force.

import { api } from "./api.js";

/** How many are shown, the newest first; they are asked for in pages. */
const SHOWN_MAX = 100;
const PAGE = 500;

/** Those that are over; `inForce()` gives those that are not. */
export async function earlier(inForce) {
  const found = new Map();
  for (let since = 0; ;) {
    const { items, seq } = await api.get(`/api/v1/alerts?since=${since}&limit=${PAGE}`);
    for (const item of items) {
      if (item.cancelled) found.delete(item.id);
      else found.set(item.id, item);
    }
    if (items.length < PAGE) break;
    since = seq;
  }
  const current = new Set(inForce().map(({ id }) => id));
  return [...found.values()].filter(({ id }) => !current.has(id)).sort((a, b) => b.seq - a.seq).slice(0, SHOWN_MAX);
}
