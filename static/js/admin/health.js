// The system status: readiness in one sentence, each health check, and all Prometheus metrics on request.

import { codedText } from "../coded-text.js";
import { $, h, put, table } from "../dom.js";
import { api } from "../api.js";
import { icon } from "../icons.js";
import { Poller } from "../poll.js";
import { has, number, t } from "../i18n.js";
import { serverText } from "../rich-text.js";
import { timeOfDay, problemText } from "../words.js";

const REFRESH_MS = 5_000;

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

/**
 * Returns the status as `{tone, text, checks: [{name, tone, text}]}`. `status` is the HTTP status, 0 without a
 * response.
 */
export function assess(status, body) {
  if (!status) return { tone: "stop", text: t("health.down"), checks: [] };
  const checks = Object.entries(body?.checks ?? {}).map(([name, { ok, detail, ...coded }]) =>
    ({ name: has(`check.${name}`) ? t(`check.${name}`) : name, tone: ok ? "good" : "stop", text: ok ? t("check.ok") : detail ? codedText("check", coded, detail) : t("check.failing") }));
  const plone = body?.plone ?? "off";
  const ploneDown = !["off", "ok"].includes(plone);
  if (plone !== "off") {
    checks.push({ name: "Plone", tone: ploneDown ? "careful" : "good", text: t(ploneDown ? "check.silent" : "check.ok") });
  }
  if (status !== 200) return { tone: "stop", text: t("health.not_ready", { why: failureText(checks) ?? problemText({ status, ...body }) }), checks };
  if (ploneDown) {
    return { tone: "careful", text: t("health.plone_down"), checks };
  }
  return { tone: "good", text: t("health.normal"), checks };
}

/** Returns the failed checks in a sentence; undefined if none has failed. */
function failureText(checks) {
  const failed = checks.filter(({ tone }) => tone === "stop").map(({ name, text }) => `${name}: ${text.textContent ?? text}`);
  return failed.length ? `${failed.join("; ")}.` : undefined;
}

export class Health {
  /** The text that is shown; null before the first check. */
  #shown = null;
  #poller = new Poller((signal) => this.#read(signal), { ms: REFRESH_MS });

  constructor(live) {
    $("all-metrics").addEventListener("toggle", () => $("all-metrics").open && this.#loadMetrics());
    // The hub has just responded again.
    live.on("live", () => this.#poller.soon());
  }

  run(running) {
    if (running) this.#poller.start();
    else this.#poller.stop();
  }

  async #read(signal) {
    try {
      this.#draw(200, await api.get("/readyz", { signal, ms: REFRESH_MS }));
    } catch (problem) {
      if (signal.aborted) throw problem;
      this.#draw(problem.status, problem);
      // A hub that responds with 503 is checked at the usual pace.
      if (!problem.status) throw problem;
    }
    if ($("all-metrics").open) await this.#loadMetrics(signal);
  }

  #draw(status, body) {
    const { tone, text, checks } = assess(status, body);
    if (this.#shown !== text) {
      const now = timeOfDay(Date.now());
      // The first check cannot tell how long a problem has lasted.
      const since = t(tone === "good" ? "health.since.good" : this.#shown ? "health.since" : "health.since.earlier", { at: now });
      this.#shown = text;
      $("health").className = tone;
      put($("health"), text, h("small", null, since));
    }
    put($("health-checks"), checks.map((check) =>
      h("li", { class: check.tone }, icon(check.tone === "good" ? "check" : "warn"), `${check.name}: `, check.text)));
  }

  async #loadMetrics(signal) {
    let text;
    try {
      text = await api.get("/metrics", { signal, ms: REFRESH_MS });
    } catch (problem) {
      if (signal?.aborted) throw problem;
      return put($("metrics"), h("p", { class: "stop" }, t("health.metrics.failed")));
    }
    put($("metrics"), table(t("health.metrics.at", { at: timeOfDay(Date.now()) }), [t("account.name"), t("metrics.labels"), t("metrics.value"), t("metrics.help")],
      parseMetrics(text).map((one) => [one.name, one.labels, number(one.value, { maximumFractionDigits: 3 }), serverText(one.help)])));
  }
}
