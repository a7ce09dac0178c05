// The table of all hubs, which is shown if there are several.

import { $, h, put, table } from "../dom.js";
import { api } from "../api.js";
import { Poller } from "../poll.js";
import { icon } from "../icons.js";
import { number, t } from "../i18n.js";
import { dateTime, duration } from "../words.js";
import { latency, rate } from "./metrics.js";

const REFRESH_MS = 5_000;
/** A hub that has been silent for this long is stopped or cut off. Hubs send their state every 2 seconds. */
const SILENT_S = 10;

/** Returns the state of a hub as `{tone, text}`. */
function stateOf({ age_s, ready, bus }) {
  if (age_s >= SILENT_S) return { tone: "stop", text: t("hubs.silent", { age: duration(age_s * 1000) }) };
  if (!ready) return { tone: "stop", text: t("hubs.not_ready") };
  return bus ? { tone: "good", text: t("hubs.ready") } : { tone: "careful", text: t("hubs.no_bus") };
}

function stateCell(hub) {
  const { tone, text } = stateOf(hub);
  return h("span", { class: tone }, icon(tone === "good" ? "check" : "warn"), text);
}

export class Hubs {
  #poller = new Poller((signal) => this.#read(signal), { ms: REFRESH_MS, onerror: () => {} });

  run(running) {
    if (running) this.#poller.start();
    else this.#poller.stop();
  }

  async #read(signal) {
    const { items } = await api.get("/api/v1/admin/hubs", { signal });
    put($("hubs"), items.length > 1 && table(t("hubs.title"), ["name", "state", "plone", "sessions", "rate", "p99", "version", "since"].map((head) => t(`hubs.${head}`)),
      items.map((hub, index) => [
        index ? hub.name : t("hubs.this", { name: hub.name }), stateCell(hub), hub.leader ? t("hubs.leads") : "", number(hub.sessions),
        rate(hub.registrations_per_s), hub.registration_p99_ms === null ? "" : latency(hub.registration_p99_ms),
        hub.version, dateTime(hub.started_at),
      ])));
  }
}
