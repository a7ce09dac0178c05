// The alert composer: recipients, preview, and sending. Critical alerts and emergencies are confirmed in place first.

import { $, button, h, debounce, markInvalid, put, SETTLE_MS } from "../dom.js";
import { alertCard, isUrgent } from "../alerts.js";
import { api } from "../api.js";
import { fromCollegeTime } from "../college-time.js";
import { hubNow } from "../hub-clock.js";
import { t } from "../i18n.js";
import { count, dateTime, problemText } from "../words.js";
import { audienceOf, audienceText, reachText } from "./audience.js";

const DEBOUNCE_MS = 400;
const HOUR_MS = 3_600_000;
/** How each kind of alert appears on a student's page. */
const APPEARANCE = {
  low: "In the alert list, without a notification.",
  medium: "In the alert list, and counted as unread.",
  high: "A banner at the foot of the page until it is read.",
  urgent: "Above everything on the page, and read aloud by screen readers.",
};
/** What the hub's 422 responses mean on this form, by field. */
const FIELD_PROBLEMS = {
  sections: "Unknown section. Enter CRNs in the term above, or IDs such as 202209-10001.",
  courses: "Unrecognized course. Enter courses such as MATH 151, separated by commas.",
  users: "Unrecognized username. Usernames have no spaces; separate them with commas.",
  expires_at: "The alert would end before it is sent. Choose a later end time.",
  starts_at: "The send time is not valid. Choose it again.",
};
const NO_RECIPIENTS = "Choose recipients.";

export class Composer {
  #reachRequests = 0;
  #ackChanged = false;

  /** `page`: `{term(), nameOf(id)}`. `onsent(alert)` is called after an alert was sent or scheduled. */
  constructor(page, onsent) {
    Object.assign(this, { page, onsent });
    this.form = $("alert-form");
    const updateReach = debounce(DEBOUNCE_MS, () => this.updateReach());
    this.form.addEventListener("input", ({ target }) => {
      if (target.name === "requires_ack") this.#ackChanged = true;
      // An emergency is shown above everything at any priority, so the form must not suggest otherwise.
      if (target.name === "category" && target.value === "emergency") this.form.elements.priority.value = "critical";
      this.#draw();
      if (["to", "roles", "sections", "courses", "users"].includes(target.name)) updateReach();
    });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#submit(); });
    this.#draw();
  }

  /** Draws the form again once a staff user is signed in and the college's time zone is known. */
  begin() {
    this.#draw();
    this.updateReach();
  }

  /** Offers only recipients whom limited staff may reach, or all. */
  limit(isLimited) {
    if (isLimited) this.form.elements.to.value = "some";
    this.form.dispatchEvent(new Event("input"));
  }

  /** Starts an alert to `audience`. */
  compose(audience) {
    this.form.elements.to.value = "some";
    for (const name of ["sections", "courses", "users"]) this.form.elements[name].value = "";
    for (const box of this.form.querySelectorAll("[name=roles]")) box.checked = false;
    for (const [name, list] of Object.entries(audience)) this.form.elements[name].value = list.join(", ");
    this.#draw();
    this.updateReach();
    this.form.elements.title.focus();
  }

  /** Returns the alert of the form, as the API takes it. */
  read() {
    const { title, message, priority, category, when, starts_at, lasts, expires_at, requires_ack } = this.form.elements;
    const starts = when.value === "at" ? fromCollegeTime(starts_at.value) : null;
    const ends = lasts.value === "at" ? fromCollegeTime(expires_at.value)
      : lasts.value && new Date((starts?.getTime() ?? hubNow()) + lasts.value * HOUR_MS);
    const audience = audienceOf(this.form, this.page.term());
    return {
      title: title.value.trim(), message: message.value.trim(), priority: priority.value, category: category.value,
      requires_ack: requires_ack.checked,
      ...(audience && { audience }),
      ...(starts && { starts_at: starts.toISOString() }),
      ...(ends && { expires_at: ends.toISOString() }),
    };
  }

  #draw() {
    this.#hideConfirmation();
    put($("send-status"));
    const { to, when, lasts, starts_at, expires_at, requires_ack } = this.form.elements;
    $("selected-people").hidden = to.value === "all";
    for (const [input, shown] of [[starts_at, when.value === "at"], [expires_at, lasts.value === "at"]]) {
      input.closest("label").hidden = !shown;
      input.required = shown;
      input.disabled = !shown;
      if (shown) input.removeAttribute("aria-invalid");
    }
    for (const { value, maxLength, nextElementSibling } of [this.form.elements.title, this.form.elements.message]) {
      const text = value ? `${count(maxLength - value.length, "character")} left` : "";
      if (nextElementSibling.textContent !== text) put(nextElementSibling, text);
    }
    const alert = this.read();
    // An urgent alert asks for confirmation by default. A choice that the user made is not overruled.
    if (!this.#ackChanged) requires_ack.checked = alert.requires_ack = isUrgent(alert);
    put($("send-button"), alert.starts_at ? "Schedule alert" : "Send alert");
    put($("send-times"), [
      alert.starts_at && `Will be sent ${dateTime(alert.starts_at)}.`,
      alert.expires_at && `Active until ${dateTime(alert.expires_at)}.`,
    ].filter(Boolean).join(" "));
    this.#drawPreview(alert);
  }

  /** Draws the same card that the student page draws. */
  #drawPreview(alert) {
    const kind = isUrgent(alert) ? "urgent" : alert.priority;
    const closable = ["urgent", "high"].includes(kind);
    const action = (closable || alert.requires_ack) && h("span", { class: "button quiet" }, t("alerts.ack"));
    const shown = {
      ...alert, title: alert.title || "Title", message: alert.message || "Message",
      created_at: alert.starts_at ?? new Date(hubNow()).toISOString(),
    };
    put($("preview"), h("div", { class: `as-${kind}` }, alertCard(shown, closable, { needsAck: alert.requires_ack, action })));
    put($("preview-note"), APPEARANCE[kind]);
  }

  /** Counts the recipients by a dry run, which sends nothing. The reach does not depend on title and message. */
  async #countRecipients({ audience }) {
    return api.post("/api/v1/alerts?dry_run=true", { title: "-", message: "-", audience });
  }

  async updateReach() {
    const alert = this.read();
    const request = ++this.#reachRequests;
    let text = NO_RECIPIENTS;
    if (alert.audience) {
      try {
        const { recipients, recipients_online } = await this.#countRecipients(alert);
        text = `Reaches ${reachText(alert.audience, recipients)}, ${recipients_online.toLocaleString()} of them connected now.`;
      } catch (problem) {
        text = this.#explain(problem, $("reach"));
      }
    }
    if (request === this.#reachRequests) put($("reach"), text);
  }

  /** Returns the problem as text for `status`, and marks the field that it is about. */
  #explain(problem, status) {
    const name = problem.field?.split(".").pop().replace(/\[.*/, "");
    const field = this.form.elements[name];
    if (field?.setAttribute) markInvalid(field, status);
    return FIELD_PROBLEMS[name] ?? problemText(problem);
  }

  #submit() {
    const alert = this.read();
    for (const el of this.form.querySelectorAll("[aria-invalid]")) el.removeAttribute("aria-invalid");
    if (!alert.audience) return this.#showStatus(NO_RECIPIENTS, "stop");
    if (alert.starts_at && Date.parse(alert.starts_at) <= hubNow()) {
      return this.#showStatus("The send time has passed. Choose a later time or send the alert now.", "stop");
    }
    return isUrgent(alert) ? this.#confirm(alert) : this.#send(alert);
  }

  /** Shows who receives an urgent alert, and sends nothing until the second button is pressed. */
  async #confirm(alert) {
    const summary = h("p", { tabindex: "-1" }, "Counting recipients…");
    const send = button("Send now", () => this.#send(alert), { class: "primary danger", disabled: true });
    const back = button("Keep editing", () => { this.#hideConfirmation(); $("send-button").focus(); });
    put($("confirm-send"), summary, h("p", null, send, " ", back));
    $("confirm-send").hidden = false;
    $("send").hidden = true;
    summary.focus();
    const settled = new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const { recipients, recipients_online } = await this.#countRecipients(alert).catch(() => ({}));
    const people = reachText(alert.audience, recipients);
    put(summary,
      h("strong", null, `“${alert.title}” goes to ${audienceText(alert.audience, this.page.nameOf)}: ${people}. `),
      recipients_online === undefined ? "Couldn't count who is connected. " : `${recipients_online.toLocaleString()} connected now. `,
      alert.starts_at ? `It will be sent ${dateTime(alert.starts_at)}, shown above everything on their pages and read aloud by screen readers.`
        : "It appears immediately, above everything on their pages, and is read aloud by screen readers.");
    await settled;
    put(send, alert.starts_at ? `Schedule for ${people}` : `Send now to ${people}`);
    send.disabled = false;
  }

  #hideConfirmation() {
    $("confirm-send").hidden = true;
    $("send").hidden = false;
  }

  #showStatus(text, tone = "") {
    this.#hideConfirmation();
    $("send-status").className = tone;
    put($("send-status"), text);
  }

  async #send(alert) {
    this.#showStatus(alert.starts_at ? "Scheduling…" : "Sending…");
    // The pressed button is hidden or disabled now, so the focus moves to the result.
    $("send-status").focus({ preventScroll: true });
    $("send-button").disabled = true;
    try {
      const { recipients_online, ...sent } = await api.post("/api/v1/alerts", alert);
      this.form.reset();
      this.#ackChanged = false;
      this.#draw();
      this.#showStatus(sent.seq === null ? `Scheduled for ${dateTime(sent.starts_at)}. You can cancel it until then.`
        : `Sent to ${count(recipients_online, "connected person", "connected people")}. Others receive it when they next connect.`, "good");
      this.onsent(sent);
      this.updateReach();
    } catch (problem) {
      const uncertain = problem.status ? "" : " The alert may have been sent: check the active alerts before you send it again.";
      this.#showStatus(`${this.#explain(problem, $("send-status"))}${uncertain}`, "stop");
    }
    $("send-button").disabled = false;
  }
}
