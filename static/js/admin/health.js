// Is it well: readiness in a sentence, each part by itself, and all that the hub counts for whoever wants to see it.

import { $, h, put, table } from "../dom.js";
import { icon } from "../icons.js";
import { clock, sentence } from "../words.js";

const REFRESH_MS = 5_000;

/** The parts that `/readyz` tells of, as people call them. */
const PARTS = { store: "Saving", terms: "Registration", bus: "Live numbers and alerts" };

/** Reads the Prometheus text format: `[{name, labels, value, help}]`, without the buckets of histograms. */
export function readMetrics(text) {
  const help = new Map();
  const samples = [];
  for (const line of text.split("\n")) {
    const told = /^# HELP (\S+) (.*)$/.exec(line);
    if (told) help.set(told[1], told[2]);
    const found = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
    if (!found || found[1].endsWith("_bucket")) continue;
    const [, name, labels = "", value] = found;
    samples.push({ name, labels, value: Number(value), help: help.get(name) ?? help.get(name.replace(/_(sum|count|total)$/, "")) ?? "" });
  }
  return samples;
}

/** What readiness says: `{tone, text, parts: [{name, tone, text}]}`; `answer` is null when none came. */
export function judge(status, answer) {
  if (!status) return { tone: "stop", text: "The hub does not answer. Look at its machine and its log.", parts: [] };
  const parts = Object.entries(answer?.checks ?? {}).map(([name, { ok, detail }]) =>
    ({ name: PARTS[name] ?? name, tone: ok ? "good" : "stop", text: ok ? "well" : detail ?? "not well" }));
  const plone = answer?.plone;
  if (plone && plone !== "off") parts.push({ name: "Plone", tone: plone === "ok" ? "good" : "careful", text: plone === "ok" ? "well" : "does not answer" });
  if (status !== 200) return { tone: "stop", text: `Not ready. ${sentence({ status, ...answer })}`, parts };
  if (plone && !["off", "ok"].includes(plone)) return { tone: "careful", text: "Well, without Plone: registration and alerts go on, and what changes waits for it.", parts };
  return { tone: "good", text: "All is well.", parts };
}

export class Health {
  #timer = 0;
  #since = null;
  #running = false;

  run(running) {
    this.#running = running;
    clearTimeout(this.#timer);
    if (running) this.#refresh();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const { status, text } = await ask("/readyz");
    const { tone, text: state, parts } = judge(status, json(text));
    if (this.#since !== state) {
      // How long it had been so before this page was opened, the page does not know.
      const since = this.#since ? `Since ${clock(Date.now())}` : `Seen so by this page since ${clock(Date.now())}`;
      this.#since = state;
      $("health").className = tone;
      put($("health"), state, h("small", null, since));
    }
    put($("parts"), parts.map((part) => h("li", { class: part.tone }, icon(part.tone === "good" ? "check" : "warn"), `${part.name}: ${part.text}`)));
    if ($("all-numbers").open) await this.#numbers();
    if (this.#running) this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  constructor() {
    $("all-numbers").addEventListener("toggle", () => $("all-numbers").open && this.#numbers());
  }

  async #numbers() {
    const { status, text } = await ask("/metrics");
    if (status !== 200) return put($("metrics"), h("p", { class: "stop" }, "The hub does not tell its numbers just now."));
    put($("metrics"), table(`As of ${clock(Date.now())}, from /metrics`, ["Name", "Labels", "Value", "What it is"],
      readMetrics(text).map((one) => [one.name, one.labels, one.value.toLocaleString(undefined, { maximumFractionDigits: 3 }), one.help])));
  }
}

async function ask(path) {
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(REFRESH_MS) });
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

function json(text) {
  try { return JSON.parse(text); } catch { return null; }
}
