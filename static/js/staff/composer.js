// Writing an alert: who gets it, how it will look, one press; what interrupts people asks once more, in place.

import { $, button, h, later, put, SETTLE_MS } from "../dom.js";
import { card, urgent } from "../alerts.js";
import { api } from "../api.js";
import { hubNow } from "../hub-clock.js";
import { count, moment, sentence } from "../words.js";
import { audienceOf, audienceWords, reached } from "./audience.js";
import { momentOf } from "./wall.js";

const ASK_MS = 400;
const HOUR_MS = 3_600_000;
const WHERE = {
  low: "In the list of alerts, without a word.", medium: "In the list of alerts, and counted there.",
  high: "A banner under the header, until it is read.", urgent: "Above everything on the page, and read out.",
};
/** What the hub's refusals mean on this form. */
const WRONG = {
  sections: "One of these sections is not known. Write CRNs of the term above, or ids such as 202209-10001.",
  courses: "These courses cannot be read. Write them as MATH 151, with commas between them.",
  users: "A user name cannot be read. They have no spaces; separate them by commas.",
  expires_at: "It would end before it goes out. Choose a later end.", starts_at: "This time cannot be read. Choose it again.",
};

export class Composer {
  #asked = 0;
  #touched = false;

  /** `page`: `{term(), nameOf(id)}`; `onsent(alert)`: one is on its way, or waits for its time. */
  constructor(page, onsent) {
    Object.assign(this, { page, onsent });
    this.form = $("alert-form");
    const ask = later(ASK_MS, () => this.reach());
    this.form.addEventListener("input", ({ target }) => {
      if (target.name === "requires_ack") this.#touched = true;
      // An emergency stands above everything whatever its priority says: the form does not say otherwise.
      if (target.name === "category" && target.value === "emergency") this.form.elements.priority.value = "critical";
      this.#draw();
      if (["to", "roles", "sections", "courses", "users"].includes(target.name)) ask();
    });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#press(); });
    this.#draw();
  }

  /** Somebody is here, and the college's zone is known. */
  begin() {
    this.#draw();
    this.reach();
  }

  /** Begins one to these. */
  write(audience) {
    this.form.elements.to.value = "some";
    for (const [name, list] of Object.entries(audience)) this.form.elements[name].value = list.join(", ");
    this.#draw();
    this.reach();
    this.form.elements.title.focus();
  }

  /** What the form says, as the hub takes it. */
  read() {
    const { title, message, priority, category, when, starts_at, lasts, expires_at, requires_ack } = this.form.elements;
    const starts = when.value === "at" ? momentOf(starts_at.value) : null;
    const ends = lasts.value === "at" ? momentOf(expires_at.value) : lasts.value && new Date((starts?.getTime() ?? hubNow()) + lasts.value * HOUR_MS);
    const audience = audienceOf(this.form, this.page.term());
    return {
      title: title.value.trim(), message: message.value.trim(), priority: priority.value, category: category.value, requires_ack: requires_ack.checked,
      ...(audience && { audience }), ...(starts && { starts_at: starts.toISOString() }), ...(ends && { expires_at: ends.toISOString() }),
    };
  }

  #draw() {
    this.#unsure();
    put($("send-answer"));
    const { to, when, lasts, starts_at, expires_at, requires_ack } = this.form.elements;
    $("chosen").hidden = to.value === "all";
    for (const [input, shown] of [[starts_at, when.value === "at"], [expires_at, lasts.value === "at"]]) {
      input.closest("label").hidden = !shown;
      input.required = shown;
      input.disabled = !shown;
      if (shown) input.removeAttribute("aria-invalid");
    }
    const alert = this.read();
    // Whoever is in danger should say that they know; staff who decided otherwise are not overruled.
    if (!this.#touched) requires_ack.checked = alert.requires_ack = urgent(alert);
    put($("send-button"), alert.starts_at ? "Schedule the alert" : "Send the alert");
    put($("send-times"), [alert.starts_at && `Goes out ${moment(alert.starts_at)}.`, alert.expires_at && `In force until ${moment(alert.expires_at)}.`].filter(Boolean).join(" "));
    this.#preview(alert);
  }

  /** The very card that a student's page draws. */
  #preview(alert) {
    const stands = urgent(alert) ? "urgent" : alert.priority;
    const closable = ["urgent", "high"].includes(stands);
    const press = (closable || alert.requires_ack) && h("span", { class: "button quiet" }, "I have read this");
    const shown = { ...alert, title: alert.title || "Title", message: alert.message || "Message", created_at: alert.starts_at ?? new Date(hubNow()).toISOString() };
    put($("preview"), h("div", { class: `as-${stands}` }, card(shown, closable, { asks: alert.requires_ack, press })));
    put($("preview-where"), WHERE[stands]);
  }

  /** How many it would reach: asked of the hub, which sends nothing. Who gets it does not depend on the words. */
  async #count({ audience }) {
    return api.post("/api/v1/alerts?dry_run=true", { title: "-", message: "-", audience });
  }

  async reach() {
    const alert = this.read();
    const asked = ++this.#asked;
    let text = "Choose who gets it.";
    if (alert.audience) {
      try {
        const { recipients, recipients_online } = await this.#count(alert);
        text = `Reaches ${reached(alert.audience, recipients)}, ${recipients_online.toLocaleString()} of them connected.`;
      } catch (problem) {
        text = this.#why(problem);
      }
    }
    if (asked === this.#asked) put($("reach"), text);
  }

  /** The sentence, and the field that it is about. */
  #why(problem) {
    const name = problem.field?.split(".").pop().replace(/\[.*/, "");
    const field = this.form.elements[name];
    if (field?.setAttribute) field.setAttribute("aria-invalid", "true");
    return WRONG[name] ?? sentence(problem);
  }

  #press() {
    const alert = this.read();
    for (const el of this.form.querySelectorAll("[aria-invalid]")) el.removeAttribute("aria-invalid");
    if (!alert.audience) return this.#answer("Choose who gets it.", "stop");
    if (alert.starts_at && Date.parse(alert.starts_at) <= hubNow()) return this.#answer("The time it goes out is over. Choose a later one, or send it now.", "stop");
    return urgent(alert) ? this.#sure(alert) : this.#send(alert);
  }

  /** Once more, in words: whom it interrupts. Nothing is sent by it. */
  async #sure(alert) {
    const words = h("p", { tabindex: "-1" }, "Asking whom it reaches…");
    const press = button("Send it now", () => this.#send(alert), { class: "primary danger", disabled: true });
    const back = button("Keep writing", () => { this.#unsure(); $("send-button").focus(); });
    put($("sure"), words, h("p", null, press, " ", back));
    $("sure").hidden = false;
    $("send").hidden = true;
    words.focus();
    const settled = new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const told = await this.#count(alert).catch(() => ({}));
    const people = reached(alert.audience, told.recipients);
    put(words, h("strong", null, `“${alert.title}” goes to ${audienceWords(alert.audience, this.page.nameOf)}: ${people}. `),
      told.recipients_online === undefined ? "The hub could not say how many are connected. " : `${count(told.recipients_online, "of them is", "of them are")} connected now. `,
      alert.starts_at ? `It goes out ${moment(alert.starts_at)}, stands above everything on their pages, and is read out.` : "It stands above everything on their pages at once, and is read out.");
    await settled;
    put(press, alert.starts_at ? `Schedule it for ${people}` : `Send it to ${people} now`);
    press.disabled = false;
  }

  #unsure() {
    $("sure").hidden = true;
    $("send").hidden = false;
  }

  #answer(text, tone = "") {
    this.#unsure();
    $("send-answer").className = tone;
    put($("send-answer"), text);
  }

  async #send(alert) {
    this.#answer(alert.starts_at ? "Scheduling…" : "Sending…");
    // The button that was pressed is gone or off: the answer is where one reads on.
    $("send-answer").focus({ preventScroll: true });
    $("send-button").disabled = true;
    try {
      const { recipients_online, ...sent } = await api.post("/api/v1/alerts", alert);
      this.form.reset();
      this.#touched = false;
      this.#draw();
      this.#answer(sent.seq === null ? `Scheduled. It goes out ${moment(sent.starts_at)}; until then it can be taken back.`
        : `Sent. ${count(recipients_online, "person", "people")} connected had it at once; the others get it when they come back.`, "good");
      this.onsent(sent);
      this.reach();
    } catch (problem) {
      this.#answer(`${this.#why(problem)}${problem.status ? "" : " It may have gone out: look at what is in force before you send it again."}`, "stop");
    }
    $("send-button").disabled = false;
  }
}
