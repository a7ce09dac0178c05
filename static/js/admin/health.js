// The system status: readiness in one sentence, each health check, and all Prometheus metrics on request.

import { $, h, put, table } from "../dom.js";
import { icon } from "../icons.js";
import { timeOfDay, problemText } from "../words.js";

const REFRESH_MS = 5_000;

/** The checks of `/readyz` as text. */
const CHECKS = { store: "Storage", terms: "Registration", bus: "Live seats and alerts" };

/** Parses the Prometheus text format into `[{name, labels, value, help}]`, without histogram buckets. */
export function parseMetrics(text) {
  const helpTexts = new Map();
  const samples = [];
  for (const line of text.split("\n")) {
    const help = /^# HELP (\S+) (.*)$/.exec(line);
    if (help) helpTexts.set(help[1], help[2]);
    const sample = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)/.exec(line);
    if (!sample || sample[1].endsWith("_bucket")) continue;
    const [, name, labels = "", value] = sample;
    const helpText = helpTexts.get(name) ?? helpTexts.get(name.replace(/_(sum|count|total)$/, "")) ?? "";
    samples.push({ name, labels, value: Number(value), help: helpText });
  }
  return samples;
}

/** Returns the status as `{tone, text, checks: [{name, tone, text}]}`. `status` is the HTTP status, 0 without a response. */
export function assess(status, body) {
  if (!status) return { tone: "stop", text: "EduHub is not responding. Check its server and its log.", checks: [] };
  const checks = Object.entries(body?.checks ?? {}).map(([name, { ok, detail }]) =>
    ({ name: CHECKS[name] ?? name, tone: ok ? "good" : "stop", text: ok ? "OK" : detail ?? "failing" }));
  const plone = body?.plone ?? "off";
  const ploneDown = !["off", "ok"].includes(plone);
  if (plone !== "off") {
    checks.push({ name: "Plone", tone: ploneDown ? "careful" : "good", text: ploneDown ? "not responding" : "OK" });
  }
  if (status !== 200) return { tone: "stop", text: `Not ready. ${problemText({ status, ...body })}`, checks };
  if (ploneDown) {
    return { tone: "careful", text: "Plone is not responding. Registration and alerts continue; changes wait for Plone.", checks };
  }
  return { tone: "good", text: "All systems normal.", checks };
}

export class Health {
  #timer = 0;
  /** The text that is shown; null before the first check. */
  #shown = null;
  #running = false;

  constructor() {
    $("all-metrics").addEventListener("toggle", () => $("all-metrics").open && this.#loadMetrics());
  }

  run(running) {
    this.#running = running;
    clearTimeout(this.#timer);
    if (running) this.#refresh();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const { status, text: body } = await fetchText("/readyz");
    const { tone, text, checks } = assess(status, parseJson(body));
    if (this.#shown !== text) {
      const now = timeOfDay(Date.now());
      // The first check cannot tell how long a problem has lasted.
      const since = tone === "good" ? `No problems since ${now}` : this.#shown ? `Since ${now}` : `Since ${now} or earlier`;
      this.#shown = text;
      $("health").className = tone;
      put($("health"), text, h("small", null, since));
    }
    put($("health-checks"), checks.map((check) =>
      h("li", { class: check.tone }, icon(check.tone === "good" ? "check" : "warn"), `${check.name}: ${check.text}`)));
    if ($("all-metrics").open) await this.#loadMetrics();
    if (this.#running) this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  async #loadMetrics() {
    const { status, text } = await fetchText("/metrics");
    if (status !== 200) return put($("metrics"), h("p", { class: "stop" }, "Couldn't load metrics. They load again automatically."));
    put($("metrics"), table(`As of ${timeOfDay(Date.now())}, from /metrics`, ["Name", "Labels", "Value", "Description"],
      parseMetrics(text).map((one) => [one.name, one.labels, one.value.toLocaleString(undefined, { maximumFractionDigits: 3 }), one.help])));
  }
}

async function fetchText(path) {
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(REFRESH_MS) });
    return { status: response.status, text: await response.text() };
  } catch {
    return { status: 0, text: "" };
  }
}

function parseJson(text) {
  try { return JSON.parse(text); } catch { return null; }
}
