// The receipts of one sent alert: how many people it reaches, and who has confirmed it.

import { h, put } from "../dom.js";
import { api, isTransient, query } from "../api.js";
import { isUrgent } from "../alerts.js";
import { timeOfDay, count, problemText } from "../words.js";

/** Names shown in each list. */
const NAMES_MAX = 50;

/** Returns how many recipients are connected, as a sentence. */
function onlineText(online, includesVisitors) {
  if (online === 0) return "None are connected now.";
  const visitors = includesVisitors ? ", counting visitors," : "";
  return online === 1 ? `1 is connected now${visitors} and has received it.`
    : `${online.toLocaleString()} are connected now${visitors} and have received it.`;
}

export class Receipts {
  /** The newest response of the hub; null until the first one. */
  totals = null;

  constructor(alert) {
    this.alert = alert;
    this.fill = h("span", { class: "fill good" });
    this.summary = h("strong", null, "Counting recipients…");
    this.online = h("span");
    this.names = h("div", { class: "names" });
    this.details = h("details", { ontoggle: ({ target }) => target.open && this.#readNames() },
      h("summary", null, "Who has confirmed"), this.names);
    this.bar = h("span", { class: "bar", "aria-hidden": "true" }, this.fill);
    this.el = h("div", { class: "receipts" }, h("p", null, this.summary, " ", this.online), this.bar, this.details);
  }

  #path(limit) {
    return `/api/v1/alerts/${encodeURIComponent(this.alert.id)}/receipts${query({ limit })}`;
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
    const { recipients, recipients_online: online, seen_total: seen } = this.totals;
    const { requires_ack, priority, audience } = this.alert;
    // Only these alerts have a button with which a reader can confirm.
    const confirmable = requires_ack || isUrgent(this.alert) || priority === "high" || seen > 0;
    const people = count(recipients, "person", "people");
    const summary = confirmable ? `${seen.toLocaleString()} of ${people} confirmed.` : `Reaches ${people}.`;
    if (this.summary.textContent !== summary) put(this.summary, summary);
    const connected = `${onlineText(online, audience.all)}${confirmable ? "" : " Confirmation was not requested."}`;
    if (this.online.textContent !== connected) put(this.online, connected);
    this.bar.hidden = this.details.hidden = !confirmable;
    this.fill.style.width = `${recipients ? 100 * seen / recipients : 0}%`;
  }

  async #readNames() {
    if (!this.names.firstChild) put(this.names, h("p", { class: "none" }, "Loading names…"));
    try {
      const { seen, seen_total, unseen, unseen_total } = await api.get(this.#path(NAMES_MAX));
      const list = (title, people, total, text) => h("div", null, h("h4", null, `${title} (${total.toLocaleString()})`),
        people.length ? h("ul", null, people.map((one) => h("li", null, text(one))),
          total > people.length && h("li", { class: "none" }, `and ${(total - people.length).toLocaleString()} more`))
          : h("p", { class: "none" }, "None"));
      const name = (one) => one.name && one.name !== one.user ? `${one.name} (${one.user})` : one.user;
      put(this.names, list("Not confirmed", unseen, unseen_total, name),
        list("Confirmed", seen, seen_total, (one) => `${name(one)}, ${timeOfDay(one.at)}`));
    } catch (problem) {
      put(this.names, h("p", { class: "stop" }, `Couldn't load names. ${problemText(problem)}`));
    }
  }
}
