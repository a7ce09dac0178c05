// How far an import is: which of its parts is under way, a bar, and the way to stop it.

import { button, h, put } from "../dom.js";
import { count } from "../words.js";

const MB = 1_000_000;
const mb = (bytes) => (bytes / MB).toLocaleString(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** `{words, part}`: what is being done, and how much of it is done (undefined when nobody can say). */
function stage({ phase, name, rows = 0, sections = 0, refused = 0, bytes = 0, bytes_total: total = 0, created = 0, updated = 0, unchanged = 0 }) {
  const bad = refused ? `, ${count(refused, "line")} refused` : "";
  switch (phase) {
    case "sending": return bytes < total ? { words: `Sending ${name}: ${mb(bytes)} of ${mb(total)} MB.`, part: total ? bytes / total : 0 } : { words: `${name} is sent. Waiting for the hub to begin.` };
    case "stopping": return { words: "Cancelling. What the hub has begun is stopped." };
    case "queued": return { words: "Another import is before this one. It begins by itself." };
    case "reading": return { words: `Reading the file: ${mb(bytes)} of ${mb(total)} MB, ${count(rows, "row")}${bad}.`, part: total ? bytes / total : 0 };
    case "comparing": return { words: `Comparing with the term: ${(created + updated + unchanged).toLocaleString()} of ${count(sections, "section")}${bad}.`, part: sections ? (created + updated + unchanged) / sections : undefined };
    default: return { words: `Making ${count(sections, "section")} visible. This can no longer be cancelled.`, part: 1 };
  }
}

/** Draws it into `at`, which keeps its parts (and the focus) from one call to the next; gives its title. */
export function drawProgress(at, state, oncancel) {
  let parts = at.importParts;
  if (!parts || !parts.el.isConnected || parts.dry !== state.dry_run) {
    const [bar, words] = [h("progress", { "aria-label": "How far the import is", max: 1 }), h("p", { role: "status" })];
    const title = h("h3", { tabindex: "-1" }, state.dry_run ? "Checking the file" : "Applying the file");
    parts = at.importParts = { dry: state.dry_run, title, bar, words, el: h("div", { class: "progress" }, title, bar, words) };
    parts.cancel = button("Cancel the import", () => parts.stop());
    parts.el.append(parts.cancel);
    put(at, parts.el);
  }
  parts.stop = oncancel;
  const { words, part } = stage(state);
  if (part === undefined) parts.bar.removeAttribute("value");
  else parts.bar.value = part;
  parts.cancel.disabled = ["applying", "stopping"].includes(state.phase);
  if (parts.words.textContent !== words) put(parts.words, words);
  return parts.title;
}
