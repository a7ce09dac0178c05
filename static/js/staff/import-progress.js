// The progress of an import: the current phase, a progress bar, and the button that cancels it.

import { button, h, put } from "../dom.js";
import { t } from "../i18n.js";
import { mebibytes } from "./import-file.js";

/** Returns `{text, fraction}`: what is being done, and the part of it that is done (undefined if unknown). */
function phaseProgress({
  phase, name, rows = 0, sections = 0, refused = 0, bytes = 0, bytes_total: total = 0, created = 0, updated = 0, unchanged = 0,
}) {
  const rejected = refused ? `, ${t("progress.rejected", { n: refused })}` : "";
  const compared = created + updated + unchanged;
  const size = t("progress.size", { bytes: mebibytes(bytes), total: mebibytes(total) });
  switch (phase) {
    case "sending":
      return bytes < total ? { text: t("progress.uploading", { name, size }), fraction: bytes / total }
        : { text: t("progress.uploaded", { name }) };
    case "stopping": return { text: t("progress.cancelling") };
    case "queued": return { text: t("progress.queued") };
    case "reading":
      return { text: t("progress.reading", { size, n: rows, rejected }), fraction: total ? bytes / total : 0 };
    case "comparing":
      return {
        text: t("progress.comparing", { compared, n: sections, rejected }),
        fraction: sections ? compared / sections : undefined,
      };
    default: return { text: t("progress.applying", { n: sections }), fraction: 1 };
  }
}

/** Draws the progress into `el`, keeping its parts and the focus between calls. Returns the title. */
export function drawProgress(el, state, oncancel) {
  let parts = el.importParts;
  if (!parts || !parts.root.isConnected || parts.dryRun !== state.dry_run) {
    const bar = h("progress", { "aria-label": t("progress.label"), max: 1 });
    const text = h("p", { role: "status" });
    const title = h("h3", { tabindex: "-1" }, t(state.dry_run ? "progress.checking" : "progress.apply"));
    const cancel = button(t("progress.cancel"), () => parts.oncancel());
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
