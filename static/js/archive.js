// Earlier alerts: all alerts that were sent, except those that are active or withdrawn.

import { api } from "./api.js";

/** How many are shown, newest first. */
const SHOWN_MAX = 100;
/** Alerts in one request. */
const PAGE = 500;

/** Returns the earlier alerts, newest first. `active()` returns the active ones. */
export async function earlierAlerts(active) {
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
  const current = new Set(active().map(({ id }) => id));
  return [...found.values()].filter(({ id }) => !current.has(id)).sort((a, b) => b.seq - a.seq).slice(0, SHOWN_MAX);
}
