// Alerts: a list for all of them, a banner for what is high, above everything what is critical, and what is over below.

import { $, button, h, put } from "./dom.js";
import { api } from "./api.js";
import { now, onLanguage, t } from "./i18n.js";
import { icon } from "./icons.js";
import { moment, sentence } from "./words.js";

const READ_KEY = "eduhub.read";
/** How many read alerts are remembered. */
const READ_MAX = 500;
/** How many of those that are over are shown, the newest first; they are asked for in pages. */
const ARCHIVE_MAX = 100;
const ARCHIVE_PAGE = 500;

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
    live.on("live", () => this.read().catch(() => {}));
    live.on("alert", ({ alert }) => this.#put(alert));
    live.on("alert_cancelled", ({ id, seq }) => this.#cancel(id, seq));
    setInterval(() => this.#draw(), 20_000);
    onLanguage(() => { this.#shown.clear(); this.#draw(true); });
    $("archive")?.addEventListener("toggle", ({ target }) => target.open && this.#archive());
    // A list that has been looked at has been read.
    addEventListener("hashchange", ({ oldURL }) => oldURL.endsWith("#alerts") && this.#readAll());
    this.#draw();
  }

  /** Somebody else is here: what the one before could see is taken down. */
  forget() {
    this.#all.clear();
    this.#gone.clear();
    if ($("archive")) $("archive").open = false;
    this.#draw();
  }

  /** Asks for what is in force. */
  async read() {
    const { items } = await api.get("/api/v1/alerts?active=true&limit=500");
    for (const alert of items) if (!alert.cancelled) this.#put(alert);
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

  #inForce() {
    const time = Date.now();
    return [...this.#all.values()].filter((a) => !a.expires_at || Date.parse(a.expires_at) > time).sort((a, b) => b.seq - a.seq);
  }

  #draw(anew = false) {
    const inForce = this.#inForce();
    const unread = inForce.filter((a) => !this.#read.has(version(a)));
    this.#fill("urgent", unread.filter(urgent), true, anew);
    this.#fill("banners", unread.filter((a) => a.priority === "high" && !urgent(a)), true, anew);
    this.#fill("alert-list", inForce, false, anew);
    const key = `${unread.length} ${now.language}`;
    if ($("alert-count") && $("alert-count").dataset.key !== key) {
      $("alert-count").dataset.key = key;
      put($("alert-count"), unread.length > 0 && [h("span", { "aria-hidden": "true" }, unread.length), h("span", { class: "unseen" }, ` ${t("tab.alerts.unread", { n: unread.length })}`)]);
    }
    if ($("no-alerts")) $("no-alerts").hidden = inForce.length > 0;
  }

  /** Keeps the elements of what stays, so that nothing is read out twice. */
  #fill(place, alerts, closable, anew) {
    const at = $(place);
    const key = place + alerts.map(version);
    if (!at || this.#shown.get(place) === key) return;
    this.#shown.set(place, key);
    const had = new Map(anew ? [] : [...at.children].map((el) => [el.dataset.version, el]));
    const want = alerts.map((alert) => had.get(version(alert)) ?? this.#card(alert, closable));
    for (const el of [...at.children]) if (!want.includes(el)) el.remove();
    want.forEach((el, i) => at.children[i] !== el && at.insertBefore(el, at.children[i] ?? null));
  }

  #card(alert, closable) {
    const over = alert.expires_at && Date.parse(alert.expires_at) <= Date.now();
    const about = [t(`priority.${alert.priority}`), t(`category.${alert.category}`), moment(alert.created_at),
      alert.expires_at && (over ? t("alerts.over") : t("alerts.until", { at: moment(alert.expires_at) }))].filter(Boolean).join(", ");
    return h("article", { class: `alert ${alert.priority}`, "data-version": version(alert) },
      h(closable ? "h2" : "h3", null, ["high", "critical"].includes(alert.priority) && icon("warn"), closable && urgent(alert) && `${t("alerts.emergency")}: `, alert.title), h("p", null, alert.message),
      h("footer", null, h("span", null, about),
        closable && button(t("alerts.read"), () => this.#close(alert), { class: "quiet" }),
        !closable && this.cancel && !over && button(t("alerts.take_down"), () => this.cancel(alert).then((down) => down && this.#cancel(alert.id, alert.seq)), { class: "danger" })));
  }

  #close(alert) {
    this.#read.add(version(alert));
    this.#keep();
    if (alert.requires_ack) api.post(`/api/v1/alerts/${encodeURIComponent(alert.id)}/ack`).catch(() => {});
  }

  /** What is only in the list is read when the list was seen; a banner stays until its button is pressed. */
  #readAll() {
    for (const alert of this.#inForce()) if (!urgent(alert) && alert.priority !== "high") this.#read.add(version(alert));
    this.#keep();
  }

  #keep() {
    this.#read = new Set([...this.#read].slice(-READ_MAX));
    try { localStorage.setItem(READ_KEY, JSON.stringify([...this.#read])); } catch { /* Not kept. */ }
    this.#draw();
  }

  /** What is over: all that was sent, without what is in force. */
  async #archive() {
    const at = $("archive-list");
    put(at, h("p", { class: "none" }, t("alerts.archive.loading")));
    try {
      const found = new Map();
      for (let since = 0; ;) {
        const { items, seq } = await api.get(`/api/v1/alerts?since=${since}&limit=${ARCHIVE_PAGE}`);
        for (const item of items) {
          if (item.cancelled) found.delete(item.id);
          else found.set(item.id, item);
        }
        if (items.length < ARCHIVE_PAGE) break;
        since = seq;
      }
      const current = new Set(this.#inForce().map(({ id }) => id));
      const over = [...found.values()].filter(({ id }) => !current.has(id)).sort((a, b) => b.seq - a.seq).slice(0, ARCHIVE_MAX);
      put(at, over.length ? over.map((alert) => this.#card(alert, false)) : h("p", { class: "none" }, t("alerts.archive.none")));
    } catch (problem) {
      put(at, h("p", { class: "stop" }, t("alerts.archive.failed", { why: sentence(problem) })));
    }
  }
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(READ_KEY)) ?? [];
  } catch {
    return [];
  }
}
