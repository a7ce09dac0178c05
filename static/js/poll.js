// When no WebSocket gets through, as behind some proxies: asks over plain HTTP until one does.

/** How long a page may be without a socket before it asks. */
const PATIENCE_MS = 4_000;
/** The mean time between two questions; each wait is drawn around it, so that pages do not ask in step. */
const EVERY_MS = 5_000;
/** Failed tries of the socket before asking: one failure is a flicker. */
const FAILURES = 2;

/** Calls `ask()` while `live` has no connection; it rejects when no answer comes. */
export function pollWithout(live, ask) {
  const next = (ms) => setTimeout(async () => {
    if (live.state !== "live" && live.failures >= FAILURES && navigator.onLine && !document.hidden) {
      try {
        await ask();
        live.fed(true);
      } catch {
        live.fed(false);
      }
    }
    next(EVERY_MS * (0.7 + 0.6 * Math.random()));
  }, ms);
  next(PATIENCE_MS);
}
