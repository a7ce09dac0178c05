// Alerts: a list of all active ones, banners for high priority where the list is not shown, urgent ones above
// everything, the archive, and acknowledgements.

import { $, button, h, put, SETTLE_MS } from "./dom.js";
import { api } from "./api.js";
import { hubNow } from "./hub-clock.js";
import { has, i18n, onLanguage, t } from "./i18n.js";
import { icon } from "./icons.js";
import { dateTime, problemText } from "./words.js";

const ACKS_KEY = "eduhub.acks";
/** The pause before a failed acknowledgement is sent again. */
const RETRY_MS = 5_000;
const READ_KEY = "eduhub.read";
/** How many read alerts this browser stores for each reader, and for how many readers. */
const READ_MAX = 500;
const READERS_MAX = 20;
/** Alerts in one request: more than are usually active at a time. */
const LIST_MAX = 500;

/** Returns whether an alert is shown above everything else. */
export const isUrgent = (alert) => alert.priority === "critical" || alert.category === "emergency";
/** Returns whether an alert is a banner until it is read. */
const isBannered = (alert) => alert.priority === "high" && !isUrgent(alert);
/** Returns the path of an alert in the API. */
export const alertPath = (id) => `/api/v1/alerts/${encodeURIComponent(id)}`;
const version = (alert) => `${alert.id}:${alert.seq}`;

export class Alerts {
  #all = new Map();
  /** The `seq` of alerts that are no longer active. */
  #gone = new Map();
  /** The username of the reader, "" for a visitor, and the alerts read in this browser. */
  #reader = "";
  #read = new Set(storedReads()[""]);
  /** Incremented for each reader, so that a response to the previous one is ignored. */
  #epoch = 0;
  #shown = new Map();
  /** The alerts that were a banner, or were announced in its place. */
  #announced = new Set();
  /** Returns whether the subject of an alert is over, although the alert has not expired. A page may replace this. */
  isOver = () => false;

  constructor(live) {
    this.acks = new Acks(live);
    // The list has every alert before `live`; later ones arrive as frames.
    live.on("live", () => this.refresh().catch(() => {}));
    live.on("alert", ({ alert }) => this.#put(alert));
    live.on("alert_cancelled", ({ id, seq }) => this.#cancel(id, seq));
    setInterval(() => this.#draw(), 20_000);
    onLanguage(() => this.#redraw());
    $("archive")?.addEventListener("toggle", ({ target }) => target.open && this.#archive());
    addEventListener("hashchange", ({ oldURL }) => {
      // Leaving the list marks its alerts as read.
      if (oldURL.endsWith("#alerts")) this.#readAll();
      else this.#draw();
    });
    this.#draw();
  }

  /** Redraws the alerts after the results of `isOver` may have changed. */
  update() {
    this.#draw();
  }

  #redraw() {
    this.#shown.clear();
    this.#draw(true);
  }

  /** Redraws the alerts after the texts of notices have been loaded. */
  ontexts() {
    if ([...this.#all.values()].some(({ notice }) => notice)) this.#redraw();
  }

  /** Sets the reader, null for a visitor, and removes the alerts of the previous one. */
  setUser(user) {
    this.acks.setUser(user?.username ?? null);
    this.#epoch += 1;
    this.#reader = user?.username ?? "";
    this.#read = new Set(storedReads()[this.#reader]);
    this.#all.clear();
    this.#gone.clear();
    if ($("archive")) $("archive").open = false;
    this.#draw();
  }

  /** Reads the active alerts. Older alerts that are not among them are no longer active. */
  async refresh() {
    const epoch = this.#epoch;
    const { items, seq } = await api.get(`/api/v1/alerts?active=true&limit=${LIST_MAX}`);
    if (epoch !== this.#epoch) return;
    const active = new Set(items.map(({ id }) => id));
    const complete = items.length < LIST_MAX;
    for (const [id, alert] of this.#all) if (complete && !active.has(id) && alert.seq <= seq) this.#cancel(id, alert.seq);
    for (const alert of items) this.#put(alert);
  }

  #put(alert) {
    const known = Math.max(this.#all.get(alert.id)?.seq ?? 0, this.#gone.get(alert.id) ?? 0);
    if (alert.seq < known || alert.seq === this.#gone.get(alert.id)) return;
    const before = this.#all.get(alert.id);
    const isNew = before && before.seq < alert.seq;
    if (isNew) this.acks.forget(alert.id);
    this.#all.set(alert.id, { ...alert, isCorrected: isNew || before?.isCorrected });
    this.#draw();
  }

  #cancel(id, seq) {
    this.#gone.set(id, seq);
    this.#all.delete(id);
    this.#draw();
  }

  #active() {
    const time = hubNow();
    return [...this.#all.values()].filter((a) => (!a.expires_at || Date.parse(a.expires_at) > time) && !this.isOver(a)).sort((a, b) => b.seq - a.seq);
  }

  /** Returns whether the alert requires an acknowledgement and the reader can give one. */
  #needsAck(alert) {
    return alert.requires_ack && this.acks.isEnabled;
  }

  /**
   * Returns whether an alert has been read: one that needs an acknowledgement once it is acknowledged on any device,
   * others once they are marked as read in this browser.
   */
  #isRead(alert) {
    return this.#needsAck(alert) ? alert.acked || this.acks.has(alert.id) : this.#read.has(version(alert));
  }

  #draw(rebuild = false) {
    const active = this.#active();
    const unread = active.filter((a) => !this.#isRead(a));
    this.#fill("urgent", unread.filter(isUrgent), true, rebuild);
    this.#fill("banners", this.#banners(unread), true, rebuild);
    this.#fill("alert-list", active, false, rebuild);
    const key = `${unread.length} ${i18n.language}`;
    if ($("alert-count") && $("alert-count").dataset.key !== key) {
      $("alert-count").dataset.key = key;
      put($("alert-count"), unread.length > 0 && [h("span", { "aria-hidden": "true" }, unread.length), h("span", { class: "unseen" }, ` ${t("tab.alerts.unread", { n: unread.length })}`)]);
    }
    if ($("no-alerts")) $("no-alerts").hidden = active.length > 0;
  }

  /** Returns the alerts that are a banner: none while the reader sees the list, which has them with the same button. */
  #banners(unread) {
    const all = unread.filter(isBannered);
    const fresh = all.filter((alert) => !this.#announced.has(version(alert)));
    for (const alert of fresh) this.#announced.add(version(alert));
    if (location.hash !== "#alerts" || !$("alert-list")) return all;
    // A banner is a status, which screen readers announce. The list is not.
    if (fresh.length) put($("spoken"), fresh.map(alertText).map(({ title, message }) => `${title}. ${message} `));
    return [];
  }

  /**
   * Draws `alerts` into the element `id`. Unchanged cards keep their elements, so that they are not announced twice.
   */
  #fill(id, alerts, isBanner, rebuild) {
    const at = $(id);
    const stamp = (alert) => `${version(alert)} ${(this.#needsAck(alert) || isBannered(alert)) && this.#isRead(alert)}`;
    const key = id + alerts.map(stamp);
    if (!at || this.#shown.get(id) === key) return;
    this.#shown.set(id, key);
    // While a page starts, there is nothing to change, and measuring the page would force a layout.
    if (!alerts.length && !at.children.length) return;
    const existing = new Map(rebuild ? [] : [...at.children].map((el) => [el.dataset.version, el]));
    const focused = [...at.children].find((el) => el.contains(document.activeElement));
    const cards = alerts.map((alert) => existing.get(stamp(alert)) ?? this.#card(alert, isBanner, stamp(alert)));
    const fill = () => {
      for (const el of [...at.children]) if (!cards.includes(el)) el.remove();
      cards.forEach((el, i) => at.children[i] !== el && at.insertBefore(el, at.children[i] ?? null));
    };
    if (id === "urgent") withoutMoving(at, fill);
    else fill();
    if (focused && !focused.isConnected) this.#focus(cards.find((el) => el.dataset.id === focused.dataset.id));
  }

  /** Moves the focus to the card that replaced the focused one. */
  #focus(el) {
    if (!el) return;
    el.tabIndex = -1;
    el.focus({ preventScroll: true });
  }

  #card(alert, isBanner, stamp = version(alert)) {
    const needsAck = this.#needsAck(alert);
    const isConfirmable = needsAck || (isBannered(alert) && this.#all.has(alert.id));
    const el = alertCard(alert, isBanner, {
      needsAck,
      action: (isBanner || (isConfirmable && !this.#isRead(alert) && !isExpired(alert))) && this.#confirmButton(alert, isBanner),
      status: !isBanner && needsAck && this.#isRead(alert) && t("alerts.ack.given"),
    });
    el.dataset.id = alert.id;
    el.dataset.version = stamp;
    return el;
  }

  /**
   * Returns a button that confirms an alert. In a banner it works after a moment: a press may be meant for what it
   * covers.
   */
  #confirmButton(alert, isBanner) {
    // Beside an offer of a seat, "Confirm" would seem to accept it.
    const label = t(alert.notice?.reason === "offer" ? "alerts.close" : "alerts.ack");
    const el = button(label, () => this.#markRead(alert), { class: isBanner ? "quiet" : "", disabled: isBanner });
    if (isBanner) setTimeout(() => { el.disabled = false; }, SETTLE_MS);
    return el;
  }

  #markRead(alert) {
    // Staff see how many readers have acknowledged an alert, even where no acknowledgement is required.
    if (alert.source !== "registration") this.acks.add(alert.id);
    this.#read.add(version(alert));
    this.#store();
  }

  /**
   * Marks the alerts that appear only in the list as read, except those that need an acknowledgement. A banner stays
   * until its button is pressed.
   */
  #readAll() {
    for (const alert of this.#active()) if (!isUrgent(alert) && alert.priority !== "high" && !this.#needsAck(alert)) this.#read.add(version(alert));
    this.#store();
  }

  #store() {
    this.#read = new Set([...this.#read].slice(-READ_MAX));
    const { [this.#reader]: _, ...others } = storedReads();
    const all = [...Object.entries(others), [this.#reader, [...this.#read]]].slice(-READERS_MAX);
    try { localStorage.setItem(READ_KEY, JSON.stringify(Object.fromEntries(all))); } catch { /* Storage is unavailable. */ }
    this.#draw();
  }

  /** Loads the earlier alerts when the reader opens them. */
  async #archive() {
    const at = $("archive-list");
    put(at, h("p", { class: "none" }, t("alerts.archive.loading")));
    try {
      const { earlierAlerts } = await import("./archive.js").catch(() => { throw { code: "no_answer" }; });
      const earlier = await earlierAlerts(() => this.#active());
      put(at, earlier.length ? earlier.map((alert) => this.#card(alert, false)) : h("p", { class: "none" }, t("alerts.archive.none")));
    } catch (problem) {
      put(at, h("p", { class: "stop" }, t("alerts.archive.failed", { why: problemText(problem) })));
    }
  }
}

/** Changes the urgent alerts and scrolls by the change of their height, so that nothing below them moves. */
function withoutMoving(at, change) {
  const main = document.querySelector("main");
  const top = main.getBoundingClientRect().top;
  change();
  document.documentElement.style.setProperty("--urgent", `${at.offsetHeight}px`);
  scrollBy({ top: main.getBoundingClientRect().top - top, behavior: "instant" });
}

/** Returns whether an alert is a notice of a promotion from a waitlist or of an offer. */
const isGoodNews = ({ notice }) => ["promoted", "offer"].includes(notice?.reason);

/** Returns the title and the message of an alert: of one that the hub wrote, in the reader's language. */
export function alertText({ notice, title, message }) {
  if (!notice || !has(`notice.${notice.reason}`)) return { title, message };
  const { code, status, course, crn, alternatives, expires_at, reminder } = notice;
  // If staff changed the registration, the notice has its new status.
  const reason = status ? `${notice.reason}.${status}` : reminder ? `${notice.reason}.reminder` : notice.reason;
  const why = has(`notice.why.${code}`) ? t(`notice.why.${code}`) : t("notice.why");
  const instead = alternatives ? ` ${t("notice.instead", { crns: alternatives.join(", ") })}` : "";
  return { title: t(`notice.${reason}`, { course }), message: t(`notice.${reason}.text`, { course, crn, why, at: dateTime(expires_at) }) + instead };
}

const isExpired = (alert) => Boolean(alert.expires_at) && Date.parse(alert.expires_at) <= hubNow();

/**
 * Returns the element of an alert: a banner or an entry of the list. `action` is its button, `status` a text in its
 * place, and `needsAck` whether it asks the reader for an acknowledgement. An alert without
 * `created_at` has no time yet.
 */
export function alertCard(alert, isBanner, { needsAck = false, action = null, status = null } = {}) {
  const about = [alert.isCorrected && t("alerts.corrected"), t(`priority.${alert.priority}`), t(`category.${alert.category}`), alert.created_at && dateTime(alert.created_at),
    alert.expires_at && (isExpired(alert) ? t("alerts.expired") : t("alerts.until", { at: dateTime(alert.expires_at) }))].filter(Boolean).join(", ");
  const good = isGoodNews(alert);
  const { title, message } = alertText(alert);
  return h("article", { class: `alert ${alert.priority}${good ? " good-news" : ""}`, "data-notice": alert.notice?.reason },
    h(isBanner ? "h2" : "h3", { dir: "auto" }, good ? icon("check") : ["high", "critical"].includes(alert.priority) && icon("warn"), isBanner && isUrgent(alert) && `${t("alerts.emergency")}: `, title),
    h("p", { dir: "auto" }, message),
    needsAck && action && h("p", { class: "ack-needed" }, t("alerts.ack.needed")),
    h("footer", null, h("span", null, about), action, status && h("strong", null, status)));
}

/** Returns the alerts read in this browser, by reader. */
function storedReads() {
  try {
    return JSON.parse(localStorage.getItem(READ_KEY)) ?? {};
  } catch {
    return {};
  }
}

/** The acknowledgements of a reader. Those that the hub has not confirmed are stored in the browser and sent again. */
class Acks {
  #user = null;
  #given = new Set();
  #unsent = new Set();
  #timer = 0;

  /** Unsent acknowledgements are also sent whenever `live` reconnects. */
  constructor(live) {
    live.on("live", () => this.#send());
  }

  /** Sets the reader by username; null is a visitor, who cannot acknowledge. */
  setUser(user) {
    this.#user = user;
    this.#given = new Set(storedAcks()[user] ?? []);
    this.#unsent = new Set(this.#given);
    this.#send();
  }

  /** Whether the reader is signed in and can acknowledge alerts. */
  get isEnabled() {
    return this.#user !== null;
  }

  /** Forgets the acknowledgement of an alert whose text was corrected. */
  forget(id) {
    this.#given.delete(id);
    if (this.#unsent.delete(id)) this.#store();
  }

  has(id) {
    return this.#given.has(id);
  }

  add(id) {
    if (!this.isEnabled || this.has(id)) return;
    this.#given.add(id);
    this.#unsent.add(id);
    this.#store();
    this.#send();
  }

  async #send() {
    clearTimeout(this.#timer);
    const user = this.#user;
    for (const id of [...this.#unsent]) {
      try {
        await api.post(`/api/v1/alerts/${encodeURIComponent(id)}/ack`);
      } catch ({ status }) {
        // Other errors mean that the alert is gone and needs no acknowledgement.
        const retry = !status || status === 401 || status === 429 || status >= 500;
        if (retry && user === this.#user) this.#timer = setTimeout(() => this.#send(), RETRY_MS);
        if (retry) return;
      }
      if (user !== this.#user) return;
      this.#unsent.delete(id);
      this.#store();
    }
  }

  #store() {
    const all = storedAcks();
    if (this.#unsent.size) all[this.#user] = [...this.#unsent];
    else delete all[this.#user];
    try { localStorage.setItem(ACKS_KEY, JSON.stringify(all)); } catch { /* Storage is unavailable. */ }
  }
}

function storedAcks() {
  try { return JSON.parse(localStorage.getItem(ACKS_KEY)) ?? {}; } catch { return {}; }
}
