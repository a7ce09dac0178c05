// The alert composer: templates, recipients, preview, and sending. Critical alerts and emergencies are confirmed in
// place first. It also corrects an alert, and ends one with an all-clear.

import { $, button, h, debounce, markInvalid, put, SETTLE_MS } from "../dom.js";
import { alertCard, alertPath, isUrgent } from "../alerts.js";
import { api } from "../api.js";
import { fromCollegeTime, toCollegeTime } from "../college-time.js";
import { contentsOf, fillIn } from "../forms.js";
import { hubNow } from "../hub-clock.js";
import { has, t } from "../i18n.js";
import { dateTime, problemText } from "../words.js";
import { blanksLeft, fromTemplate } from "./alert-templates.js";
import { audienceOf, audienceText, reachText } from "./audience.js";

const DEBOUNCE_MS = 400;
const HOUR_MS = 3_600_000;
/** The fields that a template fills. */
const FILLED = ["title", "message", "priority", "category", "lasts"];

export class Composer {
  #reachRequests = 0;
  #ackChanged = false;
  /** Whether the staff user may reach only the students of some subjects. */
  #isLimited = false;
  /** The alert that is corrected or ended, and how: `{alert, isAllClear}`. Null for a new alert. */
  #basis = null;
  /** The entries for a new alert from before a correction or an all-clear began. */
  #begun = null;

  /** `page`: `{term(), nameOf(id)}`. `onsent(alert)`: an alert was sent, scheduled, corrected or withdrawn. */
  constructor(page, onsent) {
    Object.assign(this, { page, onsent });
    this.form = $("alert-form");
    const updateReach = debounce(DEBOUNCE_MS, () => this.updateReach());
    this.form.addEventListener("input", ({ target }) => {
      // The page was opened again: the form was about this alert.
      if (target.name === "basis") return this.#setBasis(JSON.parse(target.value));
      if (target.name === "template") return this.#startFrom(target.value);
      if (target.name === "requires_ack") this.#ackChanged = true;
      // An emergency is shown above everything at any priority, so the form must not suggest otherwise.
      if (target.name === "category" && target.value === "emergency") this.form.elements.priority.value = "critical";
      this.#edited();
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

  /** Offers limited staff only the recipients whom they may reach, and other staff all of them. */
  limit(isLimited) {
    this.#isLimited = isLimited;
    if (!isLimited || this.form.elements.to.value === "some") return;
    this.form.elements.to.value = "some";
    this.#edited();
  }

  /** Empties the form for a new alert. */
  #reset() {
    this.form.reset();
    if (this.#isLimited) this.form.elements.to.value = "some";
    this.#ackChanged = false;
    this.#setBasis(null);
  }

  /** Starts an alert to `audience`. */
  compose(audience) {
    this.#setBasis(null);
    this.form.elements.to.value = "some";
    for (const name of ["sections", "courses", "users"]) this.form.elements[name].value = "";
    for (const box of this.form.querySelectorAll("[name=roles]")) box.checked = false;
    for (const [name, list] of Object.entries(audience)) this.form.elements[name].value = list.join(", ");
    this.#edited();
    this.updateReach();
    this.form.elements.title.focus();
  }

  /** Starts a correction of `alert`, which goes to the same people. */
  correct(alert) {
    this.#beginAnew();
    this.#ackChanged = true;
    this.form.elements.requires_ack.checked = alert.requires_ack;
    this.#fill({ ...alert, lasts: alert.expires_at ? "at" : "" });
    for (const [name, at] of [["starts_at", alert.seq === null && alert.starts_at], ["expires_at", alert.expires_at]]) {
      this.form.elements[name].value = at ? toCollegeTime(at) : "";
    }
    this.form.elements.when.value = alert.seq === null ? "at" : "now";
    this.#setBasis({ alert, isAllClear: false });
  }

  /** Starts an all-clear to the people of `alert`, which is withdrawn when the all-clear has been sent. */
  allClear(alert) {
    this.#beginAnew();
    this.#ackChanged = false;
    this.#fill(fromTemplate("all_clear", alert));
    this.#setBasis({ alert, isAllClear: true });
  }

  /** Empties the form. The entries for a new alert come back if the correction or the all-clear is not sent. */
  #beginAnew() {
    if (!this.#basis) this.#begun = contentsOf(this.form);
    this.form.reset();
  }

  #fill(alert) {
    for (const name of FILLED) this.form.elements[name].value = alert[name];
  }

  /** Shows which alert is corrected or ended; its audience stays. */
  #setBasis(basis) {
    this.#basis = basis;
    this.form.elements.basis.value = basis ? JSON.stringify(basis) : "";
    $("alert-basis").hidden = !basis;
    for (const id of ["alert-recipients", "alert-template"]) $(id).hidden = Boolean(basis);
    $("alert-start").hidden = Boolean(basis) && basis.alert.seq !== null;
    put($("template-status"));
    const heading = !basis ? "alert.send" : basis.isAllClear ? "alert.all_clear.title" : "alert.correct.title";
    $("send-title").dataset.t = heading;
    put($("send-title"), t(heading));
    this.#edited();
    if (!basis) return;
    const { alert, isAllClear } = basis;
    const text = isAllClear ? "alert.all_clear.text" : alert.seq === null ? "alert.correct.scheduled" : "alert.correct.text";
    put($("alert-basis"),
      h("p", null, t(text, { title: alert.title, audience: audienceText(alert.audience, this.page.nameOf) })),
      h("p", null, button(t("alert.basis.stop"), () => this.#stop(), { class: "quiet" })));
    this.updateReach();
    $("send-title").focus({ preventScroll: true });
    $("send-title").scrollIntoView({ block: "nearest" });
  }

  /** Ends a correction or an all-clear without sending it. */
  #stop() {
    this.#reset();
    if (this.#begun) fillIn(this.form, this.#begun);
    this.#begun = null;
    this.updateReach();
    $("send-title").focus();
  }

  /** Fills in a template, and offers to take it back. */
  #startFrom(name) {
    const { elements } = this.form;
    const before = Object.fromEntries(FILLED.map((field) => [field, elements[field].value]));
    if (name) this.#fill(fromTemplate(name));
    this.#edited();
    const undo = () => { this.#fill(before); elements.template.value = ""; this.#edited(); put($("template-status")); elements.template.focus(); };
    put($("template-status"), name && [t("template.filled"), " ", button(t("template.undo"), undo, { class: "plain" })]);
  }

  /** Returns the audience of the form; that of the alert that is corrected or ended. */
  #audience() {
    return this.#basis ? this.#basis.alert.audience : audienceOf(this.form, this.page.term());
  }

  /** Returns the alert of the form, as the API takes it. */
  read() {
    const { title, message, priority, category, starts_at, lasts, expires_at, requires_ack } = this.form.elements;
    const starts = this.#isScheduled ? fromCollegeTime(starts_at.value) : null;
    // Until the time of sending is entered, the end is unknown.
    const begins = this.#isScheduled ? starts?.getTime() : hubNow();
    const ends = lasts.value === "at" ? fromCollegeTime(expires_at.value)
      : lasts.value && begins && new Date(begins + lasts.value * HOUR_MS);
    const audience = this.#audience();
    return {
      title: title.value.trim(), message: message.value.trim(), priority: priority.value, category: category.value,
      requires_ack: requires_ack.checked,
      ...(audience && { audience }),
      ...(starts && { starts_at: starts.toISOString() }),
      ...(ends && { expires_at: ends.toISOString() }),
    };
  }

  /** Draws the form after a change. A confirmation or a result was about the earlier alert. */
  #edited() {
    this.#hideConfirmation();
    put($("send-status"));
    this.#draw();
  }

  #draw() {
    const { to, lasts, starts_at, expires_at, requires_ack } = this.form.elements;
    $("selected-people").hidden = to.value === "all";
    for (const [input, shown] of [[starts_at, this.#isScheduled], [expires_at, lasts.value === "at"]]) {
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
    put($("send-button"), t(this.#sendLabel()));
    put($("send-times"), [
      alert.starts_at && t("alert.will_send", { at: dateTime(alert.starts_at) }),
      alert.expires_at && t("alert.active_until", { at: dateTime(alert.expires_at) }),
    ].filter(Boolean).join(" "));
    this.#drawPreview(alert);
  }

  /** Whether the alert is sent at a set time, which may not be entered yet. */
  get #isScheduled() {
    return this.form.elements.when.value === "at";
  }

  #sendLabel() {
    if (this.#basis) return this.#basis.isAllClear ? "alert.all_clear.button" : "alert.correct.button";
    return this.#isScheduled ? "alert.schedule.button" : "alert.send.button";
  }

  /** Draws the same card that the student page draws. */
  #drawPreview(alert) {
    const kind = isUrgent(alert) ? "urgent" : alert.priority;
    const closable = ["urgent", "high"].includes(kind);
    const action = (closable || alert.requires_ack) && h("span", { class: "button quiet" }, t("alerts.ack"));
    const shown = {
      ...alert, title: alert.title || t("alert.title"), message: alert.message || t("alert.message.short"),
      created_at: alert.starts_at ?? (this.#isScheduled ? null : new Date(hubNow()).toISOString()),
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
    let text = t("alert.no_recipients"), tone = "";
    if (alert.audience) {
      try {
        const { recipients, recipients_online } = await this.#countRecipients(alert);
        text = t("alert.reach", { people: reachText(alert.audience, recipients), n: recipients_online });
      } catch (problem) {
        [text, tone] = [this.#explain(problem, $("reach")), "stop"];
      }
    }
    if (request !== this.#reachRequests) return;
    put($("reach"), text);
    $("reach").className = tone;
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
    const blanks = blanksLeft(this.#basis?.isAllClear ? "all_clear" : this.form.elements.template.value, alert);
    if (blanks.length) return this.#showBlank(blanks[0]);
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

  /** Selects the first part of a template that is not filled in. */
  #showBlank(blank) {
    this.#showStatus(t("template.blank", { blank }), "stop");
    const field = ["title", "message"].map((name) => this.form.elements[name]).find(({ value }) => value.includes(blank));
    const at = field.value.indexOf(blank);
    markInvalid(field, $("send-status"));
    field.focus();
    field.setSelectionRange(at, at + blank.length);
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
    const basis = this.#basis;
    try {
      const { recipients_online, ...sent } = basis && !basis.isAllClear
        ? await api.put(alertPath(basis.alert.id), alert) : await api.post("/api/v1/alerts", alert);
      this.#reset();
      this.onsent(sent);
      this.updateReach();
      if (basis?.isAllClear) await this.#end(basis.alert);
      else this.#showStatus(sent.seq === null ? t("alert.done.scheduled", { at: dateTime(sent.starts_at) })
        : t("alert.done.sent", { n: recipients_online }), "good");
    } catch (problem) {
      const uncertain = problem.status ? "" : ` ${t("alert.uncertain")}`;
      this.#showStatus(`${this.#explain(problem, $("send-status"))}${uncertain}`, "stop");
    }
    $("send-button").disabled = false;
  }

  /** Withdraws the alert that the all-clear ends, once the all-clear has been sent. */
  async #end(alert) {
    try {
      await api.delete(alertPath(alert.id)).catch((problem) => { if (problem.status !== 404) throw problem; });
      this.#showStatus(t("alert.all_clear.done", { title: alert.title }), "good");
    } catch (problem) {
      this.#showStatus(t("alert.all_clear.kept", { title: alert.title, why: problemText(problem) }), "stop");
    }
    this.onsent(alert);
  }
}
