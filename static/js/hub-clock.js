// The hub's clock, and what it decides about terms: which are open or over, and which one a page shows.

/** How long the best sample is used. Then any sample replaces it, since clocks are corrected at times. */
const SAMPLE_MS_MAX = 300_000;

let best = { offset: 0, roundTrip: Infinity, at: 0 };

/** Records the hub's time `text` (RFC 3339) from a response. The sample with the shortest round trip counts. */
export function syncClock(text, sentAt, receivedAt = Date.now()) {
  const roundTrip = receivedAt - sentAt;
  const hubTime = Date.parse(text);
  if (Number.isNaN(hubTime) || roundTrip < 0 || (roundTrip > best.roundTrip && receivedAt - best.at < SAMPLE_MS_MAX)) return;
  best = { offset: hubTime - (sentAt + receivedAt) / 2, roundTrip, at: receivedAt };
}

/** Returns the hub's time in milliseconds. */
export const hubNow = () => Date.now() + best.offset;

/**
 * Returns when registration opens and closes for the current user. A student's own window replaces that of the term.
 */
export function windowOf(term) {
  const { opens_at: opens, closes_at: closes } = term.mine ?? term;
  return { opens, closes };
}

/** Returns the phase of a term's registration: `unset` (no opening time), `soon`, `open` or `over`. */
export function phaseOf(term) {
  const { opens, closes } = term ? windowOf(term) : {};
  if (!opens) return "unset";
  if (hubNow() < Date.parse(opens)) return closes && Date.parse(closes) <= Date.parse(opens) ? "over" : "soon";
  return closes && hubNow() >= Date.parse(closes) ? "over" : "open";
}

/** Returns the term with the id `chosen`, else the first open one, else the next to open, else the first one. */
export function currentTerm(terms, chosen) {
  const by = (phase) => terms.filter((term) => phaseOf(term) === phase);
  const soon = by("soon").sort((a, b) => Date.parse(windowOf(a).opens) - Date.parse(windowOf(b).opens));
  return terms.find((term) => term.id === chosen) ?? by("open")[0] ?? soon[0] ?? terms[0];
}

const TERM_KEY = "eduhub.term";

/** Returns the term that the reader chose on an earlier visit, or undefined. */
export function rememberedTerm() {
  try { return localStorage.getItem(TERM_KEY) ?? undefined; } catch { return undefined; }
}

export function rememberTerm(id) {
  try { localStorage.setItem(TERM_KEY, id); } catch { /* Storage is unavailable. */ }
}
