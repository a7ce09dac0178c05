// The progress of an import: the current phase, a progress bar, and the button that cancels it.

import { button, h, put } from "../dom.js";
import { count } from "../words.js";

const MIB = 1024 * 1024;
const mebibytes = (bytes) =>
  (bytes / MIB).toLocaleString(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** Returns `{text, fraction}`: what is being done, and the part of it that is done (undefined if unknown). */
function phaseProgress({
  phase, name, rows = 0, sections = 0, refused = 0, bytes = 0, bytes_total: total = 0, created = 0, updated = 0, unchanged = 0,
}) {
  const rejected = refused ? `, ${count(refused, "line")} rejected` : "";
  const compared = created + updated + unchanged;
  const size = `${mebibytes(bytes)} of ${mebibytes(total)} MiB`;
  switch (phase) {
    case "sending":
      return bytes < total ? { text: `Uploading ${name}: ${size}.`, fraction: bytes / total }
        : { text: `${name} is uploaded. Waiting for EduHub to start.` };
    case "stopping": return { text: "Cancelling…" };
    case "queued": return { text: "Waiting for another import to finish. This one starts automatically." };
    case "reading":
      return { text: `Reading the file: ${size}, ${count(rows, "row")}${rejected}.`, fraction: total ? bytes / total : 0 };
    case "comparing":
      return {
        text: `Comparing with the term: ${compared.toLocaleString()} of ${count(sections, "section")}${rejected}.`,
        fraction: sections ? compared / sections : undefined,
      };
    default: return { text: `Applying the changes to ${count(sections, "section")}. This can no longer be cancelled.`, fraction: 1 };
  }
}

/** Draws the progress into `el`, keeping its parts and the focus between calls. Returns the title. */
export function drawProgress(el, state, oncancel) {
  let parts = el.importParts;
  if (!parts || !parts.root.isConnected || parts.dryRun !== state.dry_run) {
    const bar = h("progress", { "aria-label": "Import progress", max: 1 });
    const text = h("p", { role: "status" });
    const title = h("h3", { tabindex: "-1" }, state.dry_run ? "Checking the file" : "Applying the changes");
    const cancel = button("Cancel import", () => parts.oncancel());
    parts = { dryRun: state.dry_run, title, bar, text, cancel, root: h("div", { class: "progress" }, title, bar, text, cancel) };
    el.importParts = parts;
    put(el, parts.root);
  }
  parts.oncancel = oncancel;
  const { text, fraction } = phaseProgress(state);
  if (fraction === undefined) parts.bar.removeAttribute("value");
  else parts.bar.value = fraction;
  parts.cancel.disabled = ["applying", "stopping"].includes(state.phase);
  if (parts.text.textContent !== text) put(parts.text, text);
  return parts.title;
}
