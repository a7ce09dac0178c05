// The alert composer: recipients, preview, and sending. Critical alerts and emergencies are confirmed in place first.

import { $, button, h, debounce, markInvalid, put, SETTLE_MS } from "../dom.js";
import { alertCard, isUrgent } from "../alerts.js";
import { api } from "../api.js";
import { fromCollegeTime } from "../college-time.js";
import { hubNow } from "../hub-clock.js";
import { has, t } from "../i18n.js";
import { dateTime, problemText } from "../words.js";
import { audienceOf, audienceText, reachText } from "./audience.js";

const DEBOUNCE_MS = 400;
const HOUR_MS = 3_600_000;

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
      const text = value ? t("alert.chars", { n: maxLength - value.length }) : "";
      if (nextElementSibling.textContent !== text) put(nextElementSibling, text);
    }
    const alert = this.read();
    // An urgent alert asks for confirmation by default. A choice that the user made is not overruled.
    if (!this.#ackChanged) requires_ack.checked = alert.requires_ack = isUrgent(alert);
    put($("send-button"), t(alert.starts_at ? "alert.schedule.button" : "alert.send.button"));
    put($("send-times"), [
      alert.starts_at && t("alert.will_send", { at: dateTime(alert.starts_at) }),
      alert.expires_at && t("alert.active_until", { at: dateTime(alert.expires_at) }),
    ].filter(Boolean).join(" "));
    this.#drawPreview(alert);
  }

  /** Draws the same card that the student page draws. */
  #drawPreview(alert) {
    const kind = isUrgent(alert) ? "urgent" : alert.priority;
    const closable = ["urgent", "high"].includes(kind);
    const action = (closable || alert.requires_ack) && h("span", { class: "button quiet" }, t("alerts.ack"));
    const shown = {
      ...alert, title: alert.title || t("alert.title"), message: alert.message || t("alert.message.short"),
      created_at: alert.starts_at ?? new Date(hubNow()).toISOString(),
    };
    put($("preview"), h("div", { class: `as-${kind}` }, alertCard(shown, closable, { needsAck: alert.requires_ack, action })));
    put($("preview-note"), t(`alert.as.${kind}`));
  }

  /** Counts the recipients by a dry run, which sends nothing. The reach does not depend on title and message. */
  async #countRecipients({ audience }) {
    return api.post("/api/v1/alerts?dry_run=true", { title: "-", message: "-", audience });
  }

  async updateReach() {
    const alert = this.read();
    const request = ++this.#reachRequests;
    let text = t("alert.no_recipients");
    if (alert.audience) {
      try {
        const { recipients, recipients_online } = await this.#countRecipients(alert);
        text = t("alert.reach", { people: reachText(alert.audience, recipients), n: recipients_online });
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
    return has(`alert.wrong.${name}`) ? t(`alert.wrong.${name}`) : problemText(problem);
  }

  #submit() {
    const alert = this.read();
    for (const el of this.form.querySelectorAll("[aria-invalid]")) el.removeAttribute("aria-invalid");
    if (!alert.audience) return this.#showStatus(t("alert.no_recipients"), "stop");
    if (alert.starts_at && Date.parse(alert.starts_at) <= hubNow()) {
      return this.#showStatus(t("alert.past"), "stop");
    }
    return isUrgent(alert) ? this.#confirm(alert) : this.#send(alert);
  }

  /** Shows who receives an urgent alert, and sends nothing until the second button is pressed. */
  async #confirm(alert) {
    const summary = h("p", { tabindex: "-1" }, t("alert.counting"));
    const send = button(t("alert.send_now"), () => this.#send(alert), { class: "primary danger", disabled: true });
    const back = button(t("action.keep_editing"), () => { this.#hideConfirmation(); $("send-button").focus(); });
    put($("confirm-send"), summary, h("p", null, send, " ", back));
    $("confirm-send").hidden = false;
    $("send").hidden = true;
    summary.focus();
    const settled = new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const { recipients, recipients_online } = await this.#countRecipients(alert).catch(() => ({}));
    const people = reachText(alert.audience, recipients);
    put(summary,
      h("strong", null, t("alert.confirm.to", { title: alert.title, audience: audienceText(alert.audience, this.page.nameOf), people })), " ",
      recipients_online === undefined ? t("alert.confirm.uncounted") : t("alert.confirm.online", { n: recipients_online }), " ",
      alert.starts_at ? t("alert.confirm.at", { at: dateTime(alert.starts_at) }) : t("alert.confirm.now"));
    await settled;
    put(send, t(alert.starts_at ? "alert.schedule_for" : "alert.send_to", { people }));
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
    this.#showStatus(t(alert.starts_at ? "alert.scheduling" : "alert.sending"));
    // The pressed button is hidden or disabled now, so the focus moves to the result.
    $("send-status").focus({ preventScroll: true });
    $("send-button").disabled = true;
    try {
      const { recipients_online, ...sent } = await api.post("/api/v1/alerts", alert);
      this.form.reset();
      this.#ackChanged = false;
      this.#draw();
      this.#showStatus(sent.seq === null ? t("alert.done.scheduled", { at: dateTime(sent.starts_at) })
        : t("alert.done.sent", { n: recipients_online }), "good");
      this.onsent(sent);
      this.updateReach();
    } catch (problem) {
      const uncertain = problem.status ? "" : ` ${t("alert.uncertain")}`;
      this.#showStatus(`${this.#explain(problem, $("send-status"))}${uncertain}`, "stop");
    }
    $("send-button").disabled = false;
  }
}
