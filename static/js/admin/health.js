// Is it well: readiness in a sentence, and the numbers that the hub counts.

import { $, h, put, table } from "../dom.js";
import { clock, sentence } from "../words.js";

const REFRESH_MS = 5_000;
/** How many numbers stand at the top; all of them are in their own view, and Plone has a part of the page to itself. */
const TOP = 8;

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
    const [ready, metrics] = await Promise.all([ask("/readyz"), ask("/metrics")]);
    const state = ready.ok ? "Well: the hub answers and takes registrations"
      : ready.status ? `Not ready: ${sentence({ status: ready.status, ...json(ready.text) })}` : "No answer from the hub";
    if (this.#since?.state !== state) this.#since = { state, at: Date.now() };
    $("health").className = ready.ok ? "good" : "stop";
    const line = `${state.replace(/\.$/, "")}, seen since ${clock(this.#since.at)}.`;
    if ($("health").textContent !== line) put($("health"), line);
    if (metrics.ok) this.#numbers(readMetrics(metrics.text));
    if (this.#running) this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  #numbers(samples) {
    const ours = samples.filter((one) => one.name.startsWith("eduhub_"));
    const plain = ours.filter((one) => !one.labels && !/_(sum|count)$/.test(one.name) && !one.name.startsWith("eduhub_plone_")).slice(0, TOP);
    put($("numbers"), plain.map((one) => h("div", null, h("dt", null, label(one.name)), h("dd", { title: one.help }, number(one.value)))));
    if (!$("metrics").closest(".away")) {
      put($("metrics"), table(`As of ${clock(Date.now())}, from /metrics`, ["Name", "Labels", "Value", "What it is"],
        ours.map((one) => [one.name, one.labels, number(one.value), one.help])));
    }
  }
}

const label = (name) => {
  const words = name.replace(/^eduhub_|_total$/g, "").replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
};
const number = (value) => value.toLocaleString(undefined, { maximumFractionDigits: 3 });

async function ask(path) {
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(REFRESH_MS) });
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch {
    return { ok: false, status: 0, text: "" };
  }
}

function json(text) {
  try { return JSON.parse(text); } catch { return {}; }
}
