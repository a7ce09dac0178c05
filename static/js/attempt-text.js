// Attempts as text: the request, the decision of the hub, and what it found, for students and for staff.

import { h } from "./dom.js";
import { format, has, t } from "./i18n.js";
import { ordinal, unbrokenZone } from "./words.js";

/** Returns the decision of the hub as text. A code without a text is shown as it is. */
export function resultText({ action, result, repeated, position, by }) {
  const key = `attempts.${by === "promotion" ? "promoted" : action}.${result}`;
  const text = [key, `attempts.${result}`].find(has);
  const known = text ? t(text, { position }) : t("attempts.refused", { code: result });
  return repeated ? t("attempts.repeated", { result: known }) : known;
}

/** Formats a moment to the millisecond: `Tue, Jan 12, 8:00:00.412 AM EST`. */
export const exactTime = (at) => unbrokenZone(format({
  weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short",
}).format(new Date(at)));

/** Returns the open seats and the position that the request found, as text. */
function foundText({ open, position, result }) {
  const parts = [open !== undefined && t("attempts.open", { n: open }),
    position !== undefined && result !== "waitlisted" && t("attempts.position", { nth: ordinal(position) })];
  return parts.filter(Boolean).join(", ");
}

/** Returns an item of a list of attempts. `about` names its section or student; `more` is shown below. */
export function attemptItem(one, about, more) {
  const facts = [exactTime(one.decided_at), foundText(one), t(`attempts.by.${one.by}`)].filter(Boolean).join("; ");
  return h("li", { class: "attempt" }, h("div", null, h("strong", { dir: "auto" }, t("attempts.line", { section: about, result: resultText(one) })),
    h("small", null, facts), h("small", { class: "hash" }, t("attempts.receipt", { n: one.n, hash: one.hash })), more));
}
