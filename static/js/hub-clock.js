// The hub's clock: nobody's own clock decides what is open or over.

/** For how long an answer that was quick on its way is believed more than a slower one: clocks are put right, too. */
const BELIEVED_MS = 300_000;

let best = { skew: 0, way: Infinity, at: 0 };

/** The hub said that it was `text` (RFC 3339) at some time between two moments of this machine's clock. */
export function heard(text, asked, answered = Date.now()) {
  const way = answered - asked;
  const told = Date.parse(text);
  if (Number.isNaN(told) || way < 0 || (way > best.way && answered - best.at < BELIEVED_MS)) return;
  best = { skew: told - (asked + answered) / 2, way, at: answered };
}

/** What time it is in the hub, in milliseconds. */
export const hubNow = () => Date.now() + best.skew;
