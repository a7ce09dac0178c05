// The alerts of staff: the active ones with their receipts, and the scheduled ones.

import { $, button, h, put } from "../dom.js";
import { alertPath, alertText, isUrgent } from "../alerts.js";
import { api, query } from "../api.js";
import { t } from "../i18n.js";
import { icon } from "../icons.js";
import { Poller } from "../poll.js";
import { showNote } from "../session.js";
import { dateTime, problemText } from "../words.js";
import { audienceText, LISTED_MAX } from "./audience.js";
import { Receipts } from "./receipts.js";

/** How often the lists are read. The live connection does not report alerts that other staff send to other people. */
const LISTS_MS = 10_000;
/** How often receipts are read. */
const RECEIPTS_MS = 2_000;
const LIMIT = 100;
/**
 * How many of the newest alerts have their receipts read each time. Of the older ones, one is read each time, in turn.
 */
const NEWEST = 5;

const version = ({ id, seq, starts_at }) => `${id}:${seq}:${starts_at}`;

const isVisible = () => document.body.dataset.view === "alerts";

export class SentAlerts {
  /** Receipts by card, not by alert id: an alert that is just being sent has two cards for a moment. */
  #cards = new WeakMap();
  #turn = 0;
  #announced = "";
  #lists = new Poller((signal) => this.#readLists(signal), {
    ms: LISTS_MS,
    isNeeded: isVisible,
    onerror: (problem) => put($("sent-failed"), `${t("sent.failed", { why: problemText(problem) })} `, button(t("find.retry"), () => this.read(), { class: "plain" })),
  });
  #receipts = new Poller((signal) => this.#readReceipts(signal), { ms: RECEIPTS_MS, isNeeded: isVisible });

  /**
   * `nameOf(id)` returns the name of a section that `ensure(ids)` has loaded. `correct(alert)` and `allClear(alert)`
   * open the composer.
   */
  constructor(live, { nameOf, ensure, correct, allClear }) {
    Object.assign(this, { nameOf, ensure, correct, allClear });
    for (const type of ["alert", "alert_cancelled"]) live.on(type, () => this.read());
    addEventListener("hashchange", () => isVisible() && this.read());
  }

  /** Starts reading if a staff user is signed in; otherwise stops, and clears the list of sent alerts. */
  run(running) {
    for (const poller of [this.#lists, this.#receipts]) running ? poller.start() : poller.stop();
    if (!running) this.#show("sent-list", []);
  }

  /** Reads the lists at once. */
  read() {
    return this.#lists.now();
  }

  async #readLists(signal) {
    const [sent, scheduled] = await Promise.all(["sent", "scheduled"].map((state) => api.get(`/api/v1/alerts${query({ state, limit: LIMIT })}`, { signal })));
    // Sections of other terms have no name yet.
    await this.ensure([...sent.items, ...scheduled.items].map(({ audience }) => audience.sections ?? []).filter((ids) => ids.length <= LISTED_MAX).flat());
    this.#show("sent-list", sent.items.reverse());
    this.#show("scheduled-list", scheduled.items);
    $("none-sent").hidden = sent.items.length > 0;
    $("scheduled").hidden = !scheduled.items.length;
    put($("sent-failed"));
    this.#receipts.soon();
  }

  /** Draws `alerts`, reusing the cards of unchanged alerts with whatever is open in them. */
  #show(listId, alerts) {
    const list = $(listId);
    const existing = new Map([...list.children].map((el) => [el.dataset.version, el]));
    const cards = alerts.map((alert) => existing.get(version(alert)) ?? this.#card(alert));
    for (const el of existing.values()) if (!cards.includes(el)) el.remove();
    cards.forEach((el, i) => list.children[i] !== el && list.insertBefore(el, list.children[i] ?? null));
  }

  #card(alert) {
    const sent = alert.seq !== null;
    const receipts = sent ? new Receipts(alert) : null;
    const status = h("span", { role: "status" });
    const details = [
      t(`priority.${alert.priority}`), t(`category.${alert.category}`), t("sent.to", { audience: audienceText(alert.audience, this.nameOf) }),
      t("sent.by", { user: alert.sender }), sent ? dateTime(alert.starts_at ?? alert.created_at) : t("sent.at", { at: dateTime(alert.starts_at) }),
      alert.expires_at && t("alerts.until", { at: dateTime(alert.expires_at) }),
    ].filter(Boolean).join(", ");
    const { title, message } = alertText(alert);
    const tone = isUrgent(alert) ? "critical" : alert.priority;
    const el = h("article", { class: `alert ${tone}`, "data-id": alert.id, "data-version": version(alert) },
      h("h3", { dir: "auto" }, (isUrgent(alert) || alert.priority === "high") && icon("warn"), title),
      h("p", { dir: "auto" }, message),
      receipts?.el,
      h("footer", null, h("span", null, details), status,
        h("span", { class: "alert-actions" }, ...this.#followUps(alert, sent), this.#withdrawal(alert, sent, status))));
    if (sent) this.#cards.set(el, { alert, receipts });
    return el;
  }

  /** Returns the buttons that open the composer: to correct the alert, and to end an urgent one with an all-clear. */
  #followUps(alert, sent) {
    const { title } = alertText(alert);
    const follow = (key, open) => button(t(key), () => open(alert), { class: "quiet", "aria-label": `${t(key)}: ${title}` });
    return [follow("sent.correct", this.correct), sent && isUrgent(alert) && follow("sent.all_clear", this.allClear)].filter(Boolean);
  }

  /**
   * Returns the button that withdraws an alert. A sent alert requires a confirmation, which replaces the button; a
   * scheduled one, which no one has seen, requires none.
   */
  #withdrawal(alert, sent, status) {
    const label = t(sent ? "sent.withdraw" : "sent.cancel");
    const { title } = alertText(alert);
    const el = h("span", { class: "withdrawal" });
    const withdraw = () => this.#withdraw(alert, status);
    const first = button(label, () => sent ? confirm() : withdraw(), { class: "danger", "aria-label": `${label}: ${title}` });
    const confirm = () => put(el, h("span", null, t("sent.withdraw.text")), " ",
      button(t("sent.withdraw.yes"), withdraw, { class: "danger", "aria-label": `${t("sent.withdraw.yes")}: ${title}` }), " ",
      button(t("sent.keep"), () => { put(el, first); first.focus(); }, { class: "quiet", "aria-label": `${t("sent.keep")}: ${title}` }));
    put(el, first);
    return el;
  }

  async #withdraw({ id, seq }, status) {
    put(status, t(seq === null ? "progress.cancelling" : "sent.withdrawing"));
    try {
      await api.delete(alertPath(id));
    } catch (problem) {
      put(status);
      if (problem.status !== 404) return showNote(problemText(problem));
    }
    await this.read();
    $("sent-title").focus();
  }

  async #readReceipts(signal) {
    const cards = [...$("sent-list").children].map((el) => this.#cards.get(el));
    const older = cards.slice(NEWEST);
    const due = [...cards.slice(0, NEWEST), ...(older.length ? [older[this.#turn++ % older.length]] : [])];
    for (const { receipts } of due) await receipts.read(signal);
    this.#announce(due.find(({ alert, receipts }) => isUrgent(alert) && receipts.totals));
  }

  /** Announces an urgent alert's confirmations to screen readers when the total has changed. */
  #announce(card) {
    if (!card) return;
    const { seen_total: seen, recipients } = card.receipts.totals;
    const text = `${card.alert.title}: ${t("receipts.confirmed", { n: recipients, seen })}`;
    if (text !== this.#announced) put($("sent-announcement"), this.#announced = text);
  }
}
