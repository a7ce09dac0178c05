// The receipts of one sent alert: how many people it reaches, and who has confirmed it.

import { h, put } from "../dom.js";
import { api, isTransient, query } from "../api.js";
import { alertPath, isUrgent } from "../alerts.js";
import { number, t } from "../i18n.js";
import { joinList, timeOfDay, problemText } from "../words.js";

/** Names shown in each list. */
const NAMES_MAX = 50;

/** Returns how many recipients are connected, as a sentence. `visitors` of them are not signed in. */
function onlineText(online, visitors) {
  if (online === 0) return t("receipts.online.none");
  const people = online - visitors;
  const who = joinList([people > 0 && t("n.people", { n: people }), visitors > 0 && t("n.visitors", { n: visitors })].filter(Boolean));
  return t("receipts.online", { n: online, who });
}

export class Receipts {
  /** The newest response of the hub; null until the first one. */
  totals = null;

  constructor(alert) {
    this.alert = alert;
    this.fill = h("span", { class: "fill good" });
    this.summary = h("strong", null, t("alert.counting"));
    this.online = h("span");
    this.names = h("div", { class: "names" });
    this.details = h("details", { ontoggle: ({ target }) => target.open && this.#readNames() },
      h("summary", null, t("receipts.who")), this.names);
    this.bar = h("span", { class: "bar", "aria-hidden": "true" }, this.fill);
    this.el = h("div", { class: "receipts" }, h("p", null, this.summary, " ", this.online), this.bar, this.details);
  }

  #path(limit) {
    return `${alertPath(this.alert.id)}/receipts${query({ limit })}`;
  }

  /** Reads the totals, and the names if they are open and have changed. */
  async read(signal) {
    let totals;
    try {
      totals = await api.get(this.#path(0), { signal });
    } catch (problem) {
      if (signal.aborted || isTransient(problem)) throw problem;
      // The alert has been withdrawn. The shown totals stay until its card is removed.
      return;
    }
    const before = this.totals;
    this.totals = totals;
    this.#draw();
    const changed = before && (before.seen_total !== totals.seen_total || before.unseen_total !== totals.unseen_total);
    if (this.details.open && changed) this.#readNames();
  }

  #draw() {
    const { recipients, recipients_online: online, visitors_online: visitors = 0, seen_total: seen } = this.totals;
    const { requires_ack, priority } = this.alert;
    // Only these alerts have a button with which a reader can confirm.
    const confirmable = requires_ack || isUrgent(this.alert) || priority === "high" || seen > 0;
    const summary = confirmable ? t("receipts.confirmed", { n: recipients, seen }) : t("receipts.reaches", { n: recipients });
    if (this.summary.textContent !== summary) put(this.summary, summary);
    const connected = [onlineText(online, visitors), !confirmable && t("receipts.not_asked")].filter(Boolean).join(" ");
    if (this.online.textContent !== connected) put(this.online, connected);
    this.bar.hidden = this.details.hidden = !confirmable;
    this.fill.style.width = `${recipients ? 100 * seen / recipients : 0}%`;
  }

  async #readNames() {
    if (!this.names.firstChild) put(this.names, h("p", { class: "none" }, t("receipts.loading")));
    try {
      const { seen, seen_total, unseen, unseen_total } = await api.get(this.#path(NAMES_MAX));
      const list = (title, people, total, text) => h("div", null, h("h4", null, `${title} (${number(total)})`),
        people.length ? h("ul", null, people.map((one) => h("li", { dir: "auto" }, text(one))),
          total > people.length && h("li", { class: "none" }, t("receipts.more", { n: total - people.length })))
          : h("p", { class: "none" }, t("receipts.none")));
      const name = (one) => one.name && one.name !== one.user ? `${one.name} (${one.user})` : one.user;
      put(this.names, list(t("receipts.unseen"), unseen, unseen_total, name),
        list(t("receipts.seen"), seen, seen_total, (one) => `${name(one)}, ${timeOfDay(one.at)}`));
    } catch (problem) {
      put(this.names, h("p", { class: "stop" }, t("receipts.failed", { why: problemText(problem) })));
    }
  }
}
