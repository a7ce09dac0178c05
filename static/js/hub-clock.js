// The hub's clock, which decides what is open or over.

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

/** The hub's time in milliseconds. */
export const hubNow = () => Date.now() + best.offset;
