// Sends the requests for the first rows before the other modules run: for the terms, for the sections of the term that
// the page shows, and for the user. The hub has named the likely ones in the headers of the page, so that the browser
// has sent them already.

import { currentTerm, rememberedTerm, syncClock } from "../hub-clock.js";

/**
 * The number of sections that the catalogue requests first. With another one, the page would send that request again.
 */
const FIRST = 60;
/** The time after which a request fails, and after which a response that nothing has taken is out of date. */
const RESPONSE_MS_MAX = 20_000;
/** Parts of an address with which the catalogue requests the results of a search first. */
const FILTERS = ["q", "subject", "open", "days"];

/** The responses that have not been taken, by path. */
const responses = new Map();

/** Sends a request and returns the text of its response. */
function request(path, priority) {
  const response = fetch(path, { priority, signal: AbortSignal.timeout(RESPONSE_MS_MAX) });
  // The text is read at once, before the page is busy with the code that takes the response.
  const text = response.then((response) => response.text());
  const whole = Promise.all([response, text]).then(([{ status, headers }, text]) => new Response(text, { status, headers }));
  // The code that takes the response handles a failure.
  for (const one of [text, whole]) one.catch(() => {});
  responses.set(path, whole);
  return text;
}

setTimeout(() => responses.clear(), RESPONSE_MS_MAX);

async function requestAll() {
  const address = new URLSearchParams(location.search);
  const sentAt = Date.now();
  const terms = request("/api/v1/terms");
  try {
    if (FILTERS.some((name) => address.get(name))) return;
    const { items } = JSON.parse(await terms);
    if (items[0]?.now) syncClock(items[0].now, sentAt);
    const term = currentTerm(items, address.get("term") ?? rememberedTerm())?.id;
    if (term) request(`/api/v1/sections?${new URLSearchParams({ term, limit: FIRST })}`);
  } finally {
    // The rows do not wait for the user.
    request("/api/v1/session", "low");
  }
}

/** Returns a promise of the response to one of the requests, or undefined. Each response is returned once. */
export function takeResponse(path) {
  const response = responses.get(path);
  responses.delete(path);
  return response;
}

requestAll().catch(() => { /* The page reports the failure when it takes the response. */ });
