// Polls over HTTP while no WebSocket can connect, as behind some proxies.

/** How long a page may have no socket before it polls. */
const PATIENCE_MS = 4_000;
/** The mean time between two polls. Each pause is drawn at random around it, so that pages do not poll in step. */
const EVERY_MS = 5_000;
/** Failed connection attempts before polling: a single failure is often transient. */
const FAILURES = 2;

/** Calls `poll()` repeatedly while `live` is disconnected. `poll` rejects when it gets no response. */
export function pollWhileDisconnected(live, poll) {
  const next = (ms) => setTimeout(async () => {
    if (live.state !== "live" && live.failures >= FAILURES && navigator.onLine && !document.hidden) {
      try {
        await poll();
        live.polled(true);
      } catch {
        live.polled(false);
      }
    }
    next(EVERY_MS * (0.7 + 0.6 * Math.random()));
  }, ms);
  next(PATIENCE_MS);
}
