// Who has an alert by now, and who has said so.

import { h, put } from "../dom.js";
import { api, query } from "../api.js";
import { urgent } from "../alerts.js";
import { clock, count, sentence } from "../words.js";

/** Names in each list that are drawn. */
const NAMES_MAX = 50;

export class Receipts {
  told = null;

  constructor(alert) {
    this.alert = alert;
    this.fill = h("span", { class: "fill good" });
    this.words = h("strong", null, "Counting who has it…");
    this.online = h("span");
    this.names = h("div", { class: "names" });
    this.who = h("details", { ontoggle: ({ target }) => target.open && this.#list() }, h("summary", null, "Who has, and who has not"), this.names);
    this.bar = h("span", { class: "bar", "aria-hidden": "true" }, this.fill);
    this.el = h("div", { class: "got" }, h("p", null, this.words, " ", this.online), this.bar, this.who);
  }

  #path(limit) {
    return `/api/v1/alerts/${encodeURIComponent(this.alert.id)}/receipts${query({ limit })}`;
  }

  /** Asks for the totals, and for the names where they are looked at. */
  async ask() {
    let told;
    try {
      told = await api.get(this.#path(0));
    } catch {
      // What is shown stays; the next time asks again.
      return;
    }
    const before = this.told;
    this.told = told;
    this.#draw();
    if (this.who.open && before && (before.seen_total !== told.seen_total || before.unseen_total !== told.unseen_total)) this.#list();
  }

  #draw() {
    const { recipients, recipients_online: online, seen_total: seen } = this.told;
    const { requires_ack, priority, audience } = this.alert;
    // Only what has a button can be said to be read.
    const asked = requires_ack || urgent(this.alert) || priority === "high" || seen > 0;
    const people = count(recipients, "person", "people");
    const text = asked ? `${seen.toLocaleString()} of ${people} ${seen === 1 && recipients === 1 ? "has" : "have"} said “I have read this”.` : `Reaches ${people}.`;
    if (this.words.textContent !== text) put(this.words, text);
    const now = `${online === 0 ? "None of them is connected now" : online === 1 ? "1 is connected now and has it" : `${online.toLocaleString()} are connected now and have it`}${audience.all && online ? ", visitors among them" : ""}.${asked ? "" : " Nobody was asked to confirm it."}`;
    if (this.online.textContent !== now) put(this.online, now);
    this.bar.hidden = this.who.hidden = !asked;
    this.fill.style.width = `${recipients ? 100 * seen / recipients : 0}%`;
  }

  async #list() {
    if (!this.names.firstChild) put(this.names, h("p", { class: "none" }, "Asking for the names…"));
    try {
      const { seen, seen_total, unseen, unseen_total } = await api.get(this.#path(NAMES_MAX));
      const list = (title, people, total, said) => h("div", null, h("h4", null, `${title} (${total.toLocaleString()})`),
        people.length ? h("ul", null, people.map((one) => h("li", null, said(one))), total > people.length && h("li", { class: "none" }, `and ${(total - people.length).toLocaleString()} more`)) : h("p", { class: "none" }, "Nobody."));
      const name = (one) => one.name && one.name !== one.user ? `${one.name} (${one.user})` : one.user;
      put(this.names, list("Not yet", unseen, unseen_total, name), list("Have said so", seen, seen_total, (one) => `${name(one)}, ${clock(one.at)}`));
    } catch (problem) {
      put(this.names, h("p", { class: "stop" }, `The names did not arrive. ${sentence(problem)}`));
    }
  }
}
