// What the page cannot do without is asked for again, with words, until it is here.

import { passes } from "../api.js";
import { $, button, h, put } from "../dom.js";
import { backoff } from "../live.js";
import { sentence } from "../words.js";

/** So often the page asks by itself, some ten minutes; after that it waits for a press. */
const TRIES_MAX = 60;
/** The longest that the hub may tell it to wait. */
const WAIT_MS_MAX = 60_000;

/** The wait before the next try: what the hub says and then, so that not all desks come back at once, some more. */
const wait = (attempt, { retry_after }) => Math.min(WAIT_MS_MAX, (Number(retry_after) || 0) * 1000) + backoff(attempt);

/**
 * Calls `ask()` until it succeeds; `#late` says meanwhile that `what` is not here, and why. Throws what asking again does
 * not mend. `wanted()`: whether anybody still waits for it.
 */
export async function untilHere(what, ask, wanted) {
  const line = h("span");
  $("late").append(line);
  try {
    for (let attempt = 0; wanted(); attempt += 1) {
      const problem = await ask().then(() => null, (problem) => problem);
      if (!problem || !wanted()) return;
      if (!passes(problem)) throw problem;
      await pause(line, what, attempt, problem);
    }
  } finally {
    line.remove();
  }
}

/** Says what is missing, and returns when it is time to ask again, or at a press. */
function pause(line, what, attempt, problem) {
  return new Promise((resolve) => {
    const bySelf = attempt < TRIES_MAX;
    const timer = bySelf && setTimeout(resolve, wait(attempt, problem));
    const press = button("Ask now", () => { clearTimeout(timer); resolve(); }, { class: "plain" });
    // When it asks is decided here: the hub's own "ask again" is left out.
    const why = sentence({ ...problem, retry_after: undefined });
    put(line, `${what} did not arrive. ${why} ${bySelf ? "This page asks again by itself." : "This page has stopped asking."} `, press);
  });
}
