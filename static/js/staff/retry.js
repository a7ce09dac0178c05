// Loads data that the page cannot work without: retries, and shows the state in `#load-status`.

import { isTransient } from "../api.js";
import { $, button, h, put } from "../dom.js";
import { t } from "../i18n.js";
import { backoff } from "../live.js";
import { problemText } from "../words.js";

/** Automatic retries, about ten minutes in total. After that the page waits for "Retry now". */
const AUTOMATIC_RETRIES_MAX = 60;
/** The longest `Retry-After` that the page respects. */
const RETRY_AFTER_MS_MAX = 60_000;

/** Returns the wait before the next attempt: the hub's `Retry-After` plus a random backoff that spreads the pages. */
const retryDelay = (attempt, { retry_after }) =>
  Math.min(RETRY_AFTER_MS_MAX, (Number(retry_after) || 0) * 1000) + backoff(attempt);

/**
 * Calls `load()` until it succeeds or `isCurrent()` is false. `#load-status` says why `what` could not be loaded.
 * Throws a problem that a retry cannot fix.
 */
export async function retryUntilLoaded(what, load, isCurrent) {
  const status = h("span");
  $("load-status").append(status);
  try {
    for (let attempt = 0; isCurrent(); attempt += 1) {
      const problem = await load().then(() => null, (problem) => problem);
      if (!problem || !isCurrent()) return;
      if (!isTransient(problem)) throw problem;
      await waitToRetry(status, what, attempt, problem);
    }
  } finally {
    status.remove();
  }
}

/** Shows the problem. Resolves when the next attempt is due or the user presses "Retry now". */
function waitToRetry(status, what, attempt, problem) {
  return new Promise((resolve) => {
    const automatic = attempt < AUTOMATIC_RETRIES_MAX;
    const timer = automatic && setTimeout(resolve, retryDelay(attempt, problem));
    const retry = button(t("retry.now"), () => { clearTimeout(timer); resolve(); }, { class: "plain" });
    // This function decides when to retry, so the text must not promise the hub's `Retry-After`.
    const why = problemText({ ...problem, retry_after: undefined });
    put(status, `${t(`retry.failed.${what}`, { why })} ${t(automatic ? "retry.automatic" : "retry.stopped")} `, retry);
  });
}
