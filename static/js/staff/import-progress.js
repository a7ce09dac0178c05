// The progress of an import: the current step, a progress bar, and the button that cancels it.

import { button, h, put } from "../dom.js";
import { t } from "../i18n.js";
import { mebibytes } from "./import-file.js";

/** Screen readers announce each step at once, and its progress at most this often. */
const ANNOUNCE_MS = 15_000;

/** Returns `{step, text, fraction}`: what is being done, and the part of it that is done (undefined if unknown). */
export function progressOf({
  phase, name, rows = 0, sections = 0, refused = 0, bytes = 0, bytes_total: total = 0, created = 0, updated = 0, unchanged = 0,
}) {
  const rejected = refused ? `, ${t("progress.rejected", { n: refused })}` : "";
  const compared = created + updated + unchanged;
  const size = t("progress.size", { bytes: mebibytes(bytes), total: mebibytes(total) });
  const step = (name, values, fraction) => ({ step: name, text: t(`progress.${name}`, values), fraction });
  switch (phase) {
    case "sending": return bytes < total ? step("uploading", { name, size }, bytes / total) : step("uploaded", { name });
    case "stopping": return step("cancelling");
    case "queued": return step("queued");
    case "reading":
      // The hub first looks through the whole file, then reads its rows, and then compares them with each other.
      if (!rows && !bytes) return step("columns");
      return total && bytes >= total ? step("read", { n: rows, rejected }) : step("reading", { size, n: rows, rejected }, total ? bytes / total : 0);
    case "comparing": return step("comparing", { compared, n: sections, rejected }, sections ? compared / sections : undefined);
    default: return step("applying", { n: sections }, 1);
  }
}

/** Draws the progress into `el`, keeping its parts and the focus between calls. Returns the title. */
export function drawProgress(el, state, oncancel) {
  let parts = el.importParts;
  if (!parts || !parts.root.isConnected || parts.dryRun !== state.dry_run) {
    const bar = h("progress", { "aria-label": t("progress.label"), max: 1 });
    const text = new ProgressText();
    const title = h("h3", { tabindex: "-1" }, t(state.dry_run ? "progress.checking" : "progress.apply"));
    const cancel = button(t("progress.cancel"), () => parts.oncancel());
    parts = { dryRun: state.dry_run, title, bar, text, cancel, root: h("div", { class: "progress" }, title, bar, text.el, cancel) };
    el.importParts = parts;
    put(el, parts.root);
  }
  parts.oncancel = oncancel;
  const progress = progressOf(state);
  if (progress.fraction === undefined) parts.bar.removeAttribute("value");
  else parts.bar.value = progress.fraction;
  parts.cancel.disabled = ["applying", "stopping"].includes(state.phase);
  parts.text.show(progress);
  return parts.title;
}

/** The text of a progress. It changes several times a second, but screen readers announce it less often. */
export class ProgressText {
  #step = "";
  #announcedAt = -Infinity;

  constructor() {
    this.shown = h("p");
    this.spoken = h("p", { class: "unseen", role: "status" });
    this.el = h("div", null, this.shown, this.spoken);
  }

  /** Shows a result of `progressOf`. */
  show({ step, text }) {
    if (this.shown.textContent !== text) put(this.shown, text);
    const now = performance.now();
    if (step === this.#step && now - this.#announcedAt < ANNOUNCE_MS) return;
    [this.#step, this.#announcedAt] = [step, now];
    put(this.spoken, text);
  }

  clear() {
    this.#step = "";
    for (const el of [this.shown, this.spoken]) put(el);
  }
}
