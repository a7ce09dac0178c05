// Alerts: a list for all of them, a banner for what is high, above everything what is critical, and what is over below.

import { $, button, h, put } from "./dom.js";
import { Acks } from "./acks.js";
import { api } from "./api.js";
import { hubNow } from "./hub-clock.js";
import { now, onLanguage, t } from "./i18n.js";
import { icon } from "./icons.js";
import { moment, sentence } from "./words.js";

const READ_KEY = "eduhub.read";
/** How many read alerts are remembered of one reader, and how many readers of this browser. */
const READ_MAX = 500;
const READERS_MAX = 20;
/** How many alerts are asked for at once: more than are in force at any time. */
const LIST_MAX = 500;

/** Whether it stands above everything. */
export const urgent = (alert) => alert.priority === "critical" || alert.category === "emergency";
const version = (alert) => `${alert.id}:${alert.seq}`;

export class Alerts {
  #all = new Map();
  #gone = new Map();
  /** By whom, and what they have read in this browser; a visitor is "". */
  #reader = "";
  #read = new Set(remembered()[""]);
  /** Counts who was here: an answer to somebody else's question is nobody's. */
  #visit = 0;
  #shown = new Map();

  constructor(live) {
    this.acks = new Acks(live);
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

  /** Somebody else is here, or nobody: what the one before could see is taken down. */
  forget(user) {
    this.acks.become(user?.username ?? null);
    this.#visit += 1;
    this.#reader = user?.username ?? "";
    this.#read = new Set(remembered()[this.#reader]);
    this.#all.clear();
    this.#gone.clear();
    if ($("archive")) $("archive").open = false;
    this.#draw();
  }

  /** Asks for what is in force. What is not among it, and did not come since, is not in force any more. */
  async read() {
    const visit = this.#visit;
    const { items, seq } = await api.get(`/api/v1/alerts?active=true&limit=${LIST_MAX}`);
    if (visit !== this.#visit) return;
    const inForce = new Set(items.map(({ id }) => id));
    const all = items.length < LIST_MAX;
    for (const [id, alert] of this.#all) if (all && !inForce.has(id) && alert.seq <= seq) this.#cancel(id, alert.seq);
    for (const alert of items) this.#put(alert);
  }

  #put(alert) {
    const known = Math.max(this.#all.get(alert.id)?.seq ?? 0, this.#gone.get(alert.id) ?? 0);
    if (alert.seq < known || alert.seq === this.#gone.get(alert.id)) return;
    this.#all.set(alert.id, alert);
    this.#draw();
  }

  #cancel(id, seq) {
    this.#gone.set(id, seq);
    this.#all.delete(id);
    this.#draw();
  }

  #inForce() {
    const time = hubNow();
    return [...this.#all.values()].filter((a) => !a.expires_at || Date.parse(a.expires_at) > time).sort((a, b) => b.seq - a.seq);
  }

  /** Whether its reader has to say so, and can. */
  #asks(alert) {
    return alert.requires_ack && this.acks.asks;
  }

  /** What has to be confirmed is read when it was, on whichever device; the rest when it was seen in this browser. */
  #isRead(alert) {
    return this.#asks(alert) ? alert.acked || this.acks.has(alert.id) : this.#read.has(version(alert));
  }

  #draw(anew = false) {
    const inForce = this.#inForce();
    const unread = inForce.filter((a) => !this.#isRead(a));
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
    const stamp = (alert) => `${version(alert)} ${this.#asks(alert) && this.#isRead(alert)}`;
    const key = place + alerts.map(stamp);
    if (!at || this.#shown.get(place) === key) return;
    this.#shown.set(place, key);
    const had = new Map(anew ? [] : [...at.children].map((el) => [el.dataset.version, el]));
    const focused = [...at.children].find((el) => el.contains(document.activeElement));
    const want = alerts.map((alert) => had.get(stamp(alert)) ?? this.#card(alert, closable, stamp(alert)));
    for (const el of [...at.children]) if (!want.includes(el)) el.remove();
    want.forEach((el, i) => at.children[i] !== el && at.insertBefore(el, at.children[i] ?? null));
    if (focused && !focused.isConnected) this.#hold(want.find((el) => el.dataset.id === focused.dataset.id));
  }

  /** A card that was drawn anew keeps the focus that the one before it had. */
  #hold(el) {
    if (!el) return;
    el.tabIndex = -1;
    el.focus({ preventScroll: true });
  }

  #card(alert, closable, stamp = version(alert)) {
    const asks = this.#asks(alert);
    const el = card(alert, closable, {
      asks,
      press: (closable || (asks && !this.#isRead(alert) && !over(alert))) && button(t("alerts.read"), () => this.#close(alert), { class: closable ? "quiet" : "" }),
      said: !closable && asks && this.#isRead(alert) && t("alerts.confirmed"),
    });
    el.dataset.id = alert.id;
    el.dataset.version = stamp;
    return el;
  }

  #close(alert) {
    // Staff see how many have read what was put before them, whether they asked for it or not.
    if (alert.source !== "registration") this.acks.give(alert.id);
    this.#read.add(version(alert));
    this.#keep();
  }

  /** What is only in the list is read when the list was seen; a banner stays until its button is pressed. */
  #readAll() {
    for (const alert of this.#inForce()) if (!urgent(alert) && alert.priority !== "high" && !this.#asks(alert)) this.#read.add(version(alert));
    this.#keep();
  }

  #keep() {
    this.#read = new Set([...this.#read].slice(-READ_MAX));
    const { [this.#reader]: _, ...others } = remembered();
    const all = [...Object.entries(others), [this.#reader, [...this.#read]]].slice(-READERS_MAX);
    try { localStorage.setItem(READ_KEY, JSON.stringify(Object.fromEntries(all))); } catch { /* Not kept. */ }
    this.#draw();
  }

  /** What is over, read when somebody wants to see it. */
  async #archive() {
    const at = $("archive-list");
    put(at, h("p", { class: "none" }, t("alerts.archive.loading")));
    try {
      const { earlier } = await import("./archive.js").catch(() => { throw { code: "no_answer" }; });
      const over = await earlier(() => this.#inForce());
      put(at, over.length ? over.map((alert) => this.#card(alert, false)) : h("p", { class: "none" }, t("alerts.archive.none")));
    } catch (problem) {
      put(at, h("p", { class: "stop" }, t("alerts.archive.failed", { why: sentence(problem) })));
    }
  }
}

const over = (alert) => Boolean(alert.expires_at) && Date.parse(alert.expires_at) <= hubNow();

/**
 * An alert as it is read: in the list, or (`closable`) in its banner. `press` is its button, `said` stands there
 * instead, `asks` whether it asks to be confirmed.
 */
export function card(alert, closable, { asks = false, press = null, said = null } = {}) {
  const about = [t(`priority.${alert.priority}`), t(`category.${alert.category}`), moment(alert.created_at),
    alert.expires_at && (over(alert) ? t("alerts.over") : t("alerts.until", { at: moment(alert.expires_at) }))].filter(Boolean).join(", ");
  return h("article", { class: `alert ${alert.priority}` },
    h(closable ? "h2" : "h3", null, ["high", "critical"].includes(alert.priority) && icon("warn"), closable && urgent(alert) && `${t("alerts.emergency")}: `, alert.title),
    h("p", null, alert.message),
    asks && press && h("p", { class: "asks" }, t("alerts.asks")),
    h("footer", null, h("span", null, about), press, said && h("strong", null, said)));
}

/** What was read in this browser, by reader. */
function remembered() {
  try {
    return JSON.parse(localStorage.getItem(READ_KEY)) ?? {};
  } catch {
    return {};
  }
}
