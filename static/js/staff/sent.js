// What staff sent: what is in force with who has it by now, and what is still to go out.

import { $, button, h, put } from "../dom.js";
import { urgent } from "../alerts.js";
import { api, query } from "../api.js";
import { icon } from "../icons.js";
import { note } from "../session.js";
import { count, moment, sentence } from "../words.js";
import { audienceWords, reached } from "./audience.js";
import { Receipts } from "./receipts.js";

/** How often the lists are asked for, and how often who has it: another desk may send one, too. */
const LISTS_MS = 10_000;
const COUNTS_MS = 2_000;
const LIMIT = 100;
/** So many, the newest, are counted each time; older ones one by one. */
const COUNTED = 5;

const at = (id) => `/api/v1/alerts/${encodeURIComponent(id)}`;
const version = ({ id, seq, starts_at }) => `${id}:${seq}:${starts_at}`;

export class Sent {
  /** The receipts of what went out, by the card that shows them: an alert that goes out, or again, has two for a moment. */
  #cards = new WeakMap();
  #here = false;
  #turn = 0;
  #said = "";

  /** `nameOf(id)`: what people call a section. */
  constructor(live, nameOf) {
    this.nameOf = nameOf;
    for (const type of ["alert", "alert_cancelled"]) live.on(type, () => this.read());
    setInterval(() => this.#inSight() && this.read(), LISTS_MS);
    setInterval(() => this.#inSight() && this.#count(), COUNTS_MS);
    addEventListener("hashchange", () => this.#inSight() && this.read());
  }

  /** Somebody of the staff is here, or not. */
  run(here) {
    this.#here = here;
    return here ? this.read() : this.#show("sent-list", []);
  }

  #inSight() {
    return this.#here && !document.hidden && document.body.dataset.view === "alerts";
  }

  async read() {
    if (!this.#here) return;
    try {
      const [sent, waiting] = await Promise.all(["sent", "scheduled"].map((state) => api.get(`/api/v1/alerts${query({ state, limit: LIMIT })}`)));
      this.#show("sent-list", sent.items.reverse());
      this.#show("scheduled-list", waiting.items);
      $("none-sent").hidden = sent.items.length > 0;
      $("scheduled").hidden = !waiting.items.length;
      put($("sent-failed"));
      if (this.#inSight()) this.#count();
    } catch (problem) {
      put($("sent-failed"), `What is in force did not arrive. ${sentence(problem)} `, button("Load again", () => this.read(), { class: "plain" }));
    }
  }

  /** Cards that stay are kept, with what is opened in them. */
  #show(place, alerts) {
    const had = new Map([...$(place).children].map((el) => [el.dataset.version, el]));
    const want = alerts.map((alert) => had.get(version(alert)) ?? this.#card(alert));
    for (const el of had.values()) if (!want.includes(el)) el.remove();
    want.forEach((el, i) => $(place).children[i] !== el && $(place).insertBefore(el, $(place).children[i] ?? null));
  }

  #card(alert) {
    const out = alert.seq !== null;
    const receipts = out ? new Receipts(alert) : null;
    const answer = h("span", { role: "status" });
    const about = [`${alert.priority}, ${alert.category}`, `to ${audienceWords(alert.audience, this.nameOf)}`, `by ${alert.sender}`,
      out ? moment(alert.starts_at ?? alert.created_at) : `goes out ${moment(alert.starts_at)}`, alert.expires_at && `until ${moment(alert.expires_at)}`].filter(Boolean).join(", ");
    const el = h("article", { class: `alert ${urgent(alert) ? "critical" : alert.priority}`, "data-id": alert.id, "data-version": version(alert) },
      h("h3", null, (urgent(alert) || alert.priority === "high") && icon("warn"), alert.title), h("p", null, alert.message),
      receipts?.el,
      h("footer", null, h("span", null, about), answer, this.#ending(alert, out, answer)));
    if (out) this.#cards.set(el, { alert, receipts });
    return el;
  }

  /** What is on people's pages is taken down by two presses, in place; what nobody has seen by one. */
  #ending(alert, out, answer) {
    const label = out ? "Take it down" : "Do not send it";
    const at = h("span", { class: "ending" });
    const end = () => this.#cancel(alert, answer);
    const first = button(label, () => out ? sure() : end(), { class: "danger", "aria-label": `${label}: ${alert.title}` });
    const sure = () => put(at, h("span", null, "It goes from everyone's page."), " ",
      button("Yes, take it down", end, { class: "danger", "aria-label": `Yes, take it down: ${alert.title}` }), " ",
      button("Leave it", () => { put(at, first); first.focus(); }, { class: "quiet", "aria-label": `Leave it: ${alert.title}` }));
    put(at, first);
    return at;
  }

  async #cancel({ id }, answer) {
    put(answer, "Taking it down…");
    try {
      await api.delete(at(id));
    } catch (problem) {
      put(answer);
      if (problem.status !== 404) return note(sentence(problem));
    }
    await this.read();
    $("sent-title").focus();
  }

  /** Who has it by now. */
  async #count() {
    const cards = [...$("sent-list").children].map((el) => this.#cards.get(el));
    const older = cards.slice(COUNTED);
    const now = [...cards.slice(0, COUNTED), ...(older.length ? [older[this.#turn++ % older.length]] : [])];
    for (const { receipts } of now) await receipts.ask();
    this.#say(now.find(({ alert, receipts }) => urgent(alert) && receipts.told));
  }

  /** An emergency's numbers are read out when they have changed, not at each step. */
  #say(card) {
    if (!card) return;
    const { seen_total: seen, recipients } = card.receipts.told;
    const text = `${card.alert.title}: ${seen.toLocaleString()} of ${reached({}, recipients)} have confirmed it.`;
    if (text !== this.#said) put($("sent-said"), this.#said = text);
  }
}
