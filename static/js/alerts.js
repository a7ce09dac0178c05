// Alerts: a list for all of them, a banner for what is high, and above everything what is critical.

import { $, button, h, put } from "./dom.js";
import { api } from "./api.js";
import { moment } from "./words.js";

const READ_KEY = "eduhub.read";
/** How many read banners are remembered. */
const READ_MAX = 200;

const urgent = (alert) => alert.priority === "critical" || alert.category === "emergency";
const version = (alert) => `${alert.id}:${alert.seq}`;

export class Alerts {
  #all = new Map();
  #gone = new Map();
  #read = new Set(remembered());
  #shown = new Map();

  /** `cancel(alert)`, when given, is offered beside each alert of the list; it says whether it is down. */
  constructor(live, { cancel } = {}) {
    this.cancel = cancel;
    // Everything before `live` is in the list that is asked for, everything after it comes by itself.
    live.on("live", () => this.#load());
    live.on("alert", ({ alert }) => this.#put(alert));
    live.on("alert_cancelled", ({ id, seq }) => this.#cancel(id, seq));
    setInterval(() => this.#draw(), 20_000);
    this.#draw();
  }

  /** Somebody else is here: what the one before could see is taken down. */
  forget() {
    this.#all.clear();
    this.#gone.clear();
    this.#draw();
  }

  async #load() {
    try {
      const { items } = await api.get("/api/v1/alerts?active=true&limit=500");
      for (const alert of items) if (!alert.cancelled) this.#put(alert);
    } catch { /* The next connection asks again. */ }
  }

  /** Shows one that this page has just sent, although it may be for others. */
  show(alert) {
    this.#put(alert);
  }

  #put(alert) {
    const known = Math.max(this.#all.get(alert.id)?.seq ?? 0, this.#gone.get(alert.id) ?? 0);
    if (alert.seq < known) return;
    this.#all.set(alert.id, alert);
    this.#draw();
  }

  #cancel(id, seq) {
    this.#gone.set(id, seq);
    this.#all.delete(id);
    this.#draw();
  }

  #draw() {
    const now = Date.now();
    const inForce = [...this.#all.values()].filter((a) => !a.expires_at || Date.parse(a.expires_at) > now);
    inForce.sort((a, b) => b.seq - a.seq);
    const unread = inForce.filter((a) => !this.#read.has(version(a)));
    this.#fill("urgent", unread.filter(urgent), true);
    this.#fill("banners", unread.filter((a) => a.priority === "high" && !urgent(a)), true);
    this.#fill("alert-list", inForce, false);
    put($("alert-count"), inForce.length ? ` (${inForce.length})` : "");
    $("no-alerts").hidden = inForce.length > 0;
  }

  /** Keeps the elements of what stays, so that nothing is read out twice. */
  #fill(place, alerts, closable) {
    const key = place + alerts.map(version);
    if (this.#shown.get(place) === key) return;
    this.#shown.set(place, key);
    const at = $(place);
    const had = new Map([...at.children].map((el) => [el.dataset.version, el]));
    const want = alerts.map((alert) => had.get(version(alert)) ?? this.#card(alert, closable));
    for (const el of had.values()) if (!want.includes(el)) el.remove();
    want.forEach((el, i) => at.children[i] !== el && at.insertBefore(el, at.children[i] ?? null));
  }

  #card(alert, closable) {
    const read = () => {
      this.#read.add(version(alert));
      try { localStorage.setItem(READ_KEY, JSON.stringify([...this.#read].slice(-READ_MAX))); } catch { /* Not kept. */ }
      this.#draw();
    };
    return h("article", { class: `alert ${alert.priority}`, "data-version": version(alert) },
      h("h3", null, alert.title), h("p", null, alert.message),
      h("footer", null, h("span", null, `${alert.priority}, ${alert.category}, ${moment(alert.created_at)}`),
        closable && button("I have read this", read, { class: "quiet" }),
        !closable && this.cancel && button("Take it down", () => this.cancel(alert).then((down) => down && this.#cancel(alert.id, alert.seq)), { class: "danger" })));
  }
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(READ_KEY)) ?? [];
  } catch {
    return [];
  }
}
