// The student's registrations, the requests in progress, and their results. A section counts as registered only
// once the hub has confirmed it.

import { api, query, registrationPath } from "../api.js";

const termOf = (id) => id.slice(0, id.lastIndexOf("-"));

/** The problems after which a request may have had its effect. */
const UNCONFIRMED = ["no_answer", "outcome_unknown"];

export class Registrations {
  #registrations = new Map();
  #pending = new Map();
  #results = new Map();
  /** The newest known change to each section: the hub's time of it, and its `version`. */
  #changes = new Map();
  /** Incremented for each change. */
  #version = 0;
  /** Numbers of the newest read that was started, and of the newest that was applied. */
  #started = 0;
  #applied = 0;
  /** Whether the student's registrations have been read. */
  isLoaded = false;

  /**
   * `page`: see main.js. `onchange(id)` is called when the status, request or result of a section has changed, with
   * null for all; `onresult(ids)` for new results; `onclosed()` when registration is closed for the student, or a hold
   * blocks it.
   */
  constructor(page, { onchange, onresult, onclosed }) {
    Object.assign(this, { page, onchange, onresult, onclosed });
    page.live.on("registration", (frame) => this.#receive(frame));
  }

  /** Removes everything when the student signs out. */
  clear() {
    this.isLoaded = false;
    this.#registrations.clear();
    this.#pending.clear();
    this.#results.clear();
    this.#changes.clear();
    this.onchange(null);
  }

  /** Reads all registrations. Changes that arrive during the read are newer and win. */
  async load() {
    const [user, version, number] = [this.page.user(), this.#version, this.#started += 1];
    const { items } = await api.get("/api/v1/me/registrations");
    if (this.page.user() !== user || number < this.#applied) return;
    this.#applied = number;
    const read = new Map(items.map((one) => [one.section, one]));
    for (const [section, change] of this.#changes) {
      if (change.version <= version) continue;
      if (this.#registrations.has(section)) read.set(section, this.#registrations.get(section));
      else read.delete(section);
    }
    this.#registrations = read;
    this.isLoaded = true;
    for (const id of [...this.#results.keys()]) this.#settle(id);
    await this.page.catalogue.ensure([...this.#registrations.keys()]);
    this.onchange(null);
  }

  /**
   * Returns the registration in a section: `{status, position?, expires_at?, credits, at}`, with the choices of a
   * waitlist position; undefined if there is none.
   */
  get(id) {
    return this.#registrations.get(id);
  }

  /** Returns the registrations of a term, oldest first. */
  inTerm(term) {
    const registered = [...this.#registrations.values()].filter(({ section }) => termOf(section) === term);
    return registered.sort((a, b) => String(a.at).localeCompare(String(b.at)) || a.section.localeCompare(b.section));
  }

  /** Returns the seats that are offered to the student in all terms, in the order in which the offers end. */
  offers() {
    const offered = [...this.#registrations.values()].filter(({ status }) => status === "offered");
    return offered.sort((a, b) => Date.parse(a.expires_at) - Date.parse(b.expires_at));
  }

  /** Returns the credits of the enrolled sections of a term. Cancelled sections do not count. */
  credits(term) {
    const counted = this.inTerm(term).filter((one) => one.status === "enrolled" && this.page.catalogue.get(one.section)?.status !== "cancelled");
    return counted.reduce((sum, one) => sum + one.credits, 0);
  }

  /** Returns the text key of the request in progress for a section, or undefined. */
  pending(id) {
    return this.#pending.get(id);
  }

  /**
   * Returns the last result for a section, or undefined: `{problem}` or `{message}`, a `tone`, and the `view` that
   * shows it.
   */
  result(id) {
    return this.#results.get(id);
  }

  /**
   * Records which refusals state what is true now. A refusal can arrive before the page knows that the section is full,
   * or that others are in the way, so it ends only once it has been recorded here. Called after each change to seats or
   * registrations.
   */
  recordBlocked() {
    for (const [id, result] of this.#results) if (result.problem) result.wasBlocked ||= this.page.actions.isBlocked(id, result.problem);
  }

  /** Shows a message about a section, by its text key, that does not answer a request. */
  setMessage(id, message, tone) {
    this.#results.set(id, { message, tone, view: "both" });
    this.onchange(id);
  }

  /** Removes the last result for a section. */
  clearResult(id) {
    if (this.#results.delete(id)) this.onchange(id);
  }

  /** Registers for a section. `view` is where the button is: `row` or `schedule`. */
  register(id, { waitlist = false, view = "row" } = {}) {
    return this.#send([id], waitlist ? "pending.wait" : "pending.add", view, async () =>
      this.#granted(await api.put(`${registrationPath(id)}${waitlist ? "?waitlist=true" : ""}`), view));
  }

  /**
   * Joins the waitlist of a section, or takes a seat that has become free. `choices` are `with` and `any_of` (lists of
   * sections), and `drop` (a section).
   */
  wait(id, choices, view = "row") {
    return this.#send([id], "pending.wait", view, async () => {
      const granted = await api.put(`${registrationPath(id)}?waitlist=true`, choices);
      await this.page.catalogue.ensure([granted.section]);
      this.#granted(granted, view);
      // The other sections changed, too.
      this.load().catch(() => {});
      return [granted.section];
    });
  }

  /** Shows what can be chosen with a position on the waitlist of a section, or hides it again. */
  toggleWaitChoices(id) {
    if (this.#results.get(id)?.next === "choose") return this.clearResult(id);
    this.#results.set(id, { message: "wait.title", next: "choose", tone: "careful", view: "row" });
    this.onchange(id);
  }

  /** Accepts a seat that is offered. */
  accept(id, view = "schedule") {
    return this.#send([id], "pending.accept", view, async () => {
      const { with: together, any_of: others, drop } = this.#registrations.get(id) ?? {};
      this.#granted(await api.put(registrationPath(id)), view);
      if (drop) this.setMessage(drop, "change.replaced", "good");
      if (together || others || drop) this.load().catch(() => {});
    });
  }

  /** Drops a section at once. `keepalive` lets the request outlive the page. */
  drop(id, { keepalive = false, view = "row" } = {}) {
    if (keepalive) return fetch(registrationPath(id), { method: "DELETE", keepalive: true });
    return this.#send([id], "pending.drop", view, async () => this.#granted(await api.delete(registrationPath(id)), view));
  }

  /** Takes `id` instead of `others`, all or nothing. */
  swap(id, others, view) {
    return this.#send([id, ...others], "pending.swap", view, async () =>
      this.#apply(await api.post("/api/v1/me/registrations", { add: [id], drop: others, swap: true, waitlist: false }), view));
  }

  /** Registers for several sections in one request. */
  registerAll(ids, view = "schedule") {
    return this.#send(ids, "pending.add", view, async () =>
      this.#apply(await api.post("/api/v1/me/registrations", { add: ids, drop: [], swap: false, waitlist: false }), view));
  }

  /**
   * Registers for the planned sections `ids` of a term with their choices, in one request. `onplan(results)` receives
   * their results.
   */
  registerPlan(term, ids, onplan, view = "schedule") {
    return this.#send(ids, "pending.add", view, async () => {
      const { plan, catalogue } = this.page;
      await plan.saved;
      const { results } = await api.post(`/api/v1/me/plan/register${query({ term })}`);
      const own = results.filter(({ section, planned = section }) => ids.includes(planned));
      await catalogue.ensure(own.map(({ section }) => section));
      for (const { section, planned } of own) if (planned) plan.replace(planned, section);
      this.#apply({ results: own }, view);
      onplan(own);
      return own.map(({ section }) => section);
    });
  }

  /**
   * Sends a request about the sections `ids`. `request()` returns the sections whose results are announced, if they
   * differ from `ids`.
   */
  async #send(ids, pending, view, request) {
    if (ids.some((id) => this.#pending.has(id))) return;
    for (const id of ids) {
      this.#results.delete(id);
      this.#pending.set(id, pending);
      this.onchange(id);
    }
    let [isUnknown, announced] = [false, ids];
    try {
      // Delayed drops are sent first: they may be in the way of this request.
      if (pending !== "pending.drop") await this.page.drops.flush();
      announced = (await request()) ?? ids;
    } catch (problem) {
      const expected = pending === "pending.drop" ? "dropped" : "registered";
      for (const id of ids) this.#refused(id, problem, view, expected);
      if (problem.code === "unauthenticated") this.page.interrupted(ids, () => this.#send(ids, pending, view, request));
      isUnknown = UNCONFIRMED.includes(problem.code);
    }
    for (const id of ids) {
      this.#pending.delete(id);
      this.onchange(id);
    }
    this.onresult(announced);
    if (isUnknown) this.load().catch(() => {});
  }

  #apply({ results }, view) {
    for (const { section, problem, ...rest } of results) {
      if (problem) this.#refused(section, problem, view);
      else this.#granted({ section, ...rest }, view);
    }
  }

  /** Stores a section's new status. Responses and frames travel separately, so an older one may arrive last. */
  #setStatus(section, { status, position, expires_at, credits, at, with: together, any_of, drop }) {
    if (Date.parse(at) < Date.parse(this.#changes.get(section)?.at)) return this.load().catch(() => {});
    this.#changes.set(section, { at, version: this.#version += 1 });
    if (status === "dropped") return this.#registrations.delete(section);
    const known = this.#registrations.get(section)?.credits ?? this.page.catalogue.get(section)?.credits ?? 0;
    this.#registrations.set(section, { section, status, position, expires_at, credits: credits ?? known, at, with: together, any_of, drop });
  }

  #granted({ section, planned, ...registration }, view) {
    this.#setStatus(section, registration);
    if (registration.status === "dropped") {
      // A dropped section leaves the plan as well.
      this.page.plan.remove(section);
      this.#results.set(section, { message: "drop.done", tone: "good", view });
      return;
    }
    // The status itself is the result, and it stays current when the waitlist moves.
    this.#results.delete(section);
    if (planned) this.#results.set(section, { message: "plan.instead", tone: "good", view, planned });
  }

  #refused(id, problem, view, expected) {
    if (["registration_closed", "hold"].includes(problem.code)) this.onclosed();
    // `waitlisted` is the count at the time of the refusal; `Actions.result` replaces it with the live one.
    this.#results.set(id, { problem: { ...problem, code: problem.code }, tone: "stop", view, ...(UNCONFIRMED.includes(problem.code) && { expected }) });
  }

  /** Removes the result of a request without a response once its effect is known to have happened. */
  #settle(id) {
    const { expected } = this.#results.get(id) ?? {};
    if (expected && (expected === "registered") === this.#registrations.has(id)) this.#results.delete(id);
  }

  /**
   * Returns whether the student is accepting a seat instead of this section. The frame may arrive before the response.
   */
  #isGivenUp(section) {
    return [...this.#registrations.values()].some((one) => one.drop === section && this.#pending.get(one.section) === "pending.accept");
  }

  /** Applies a change of a registration by another tab, the waitlist or the college. */
  #receive({ section, status, position, expires_at, reason, code, at }) {
    const previous = this.#registrations.get(section);
    const choices = ["waitlisted", "offered"].includes(status) ? { with: previous?.with, any_of: previous?.any_of, drop: previous?.drop } : {};
    this.#setStatus(section, { status, position: position ?? (status === previous?.status ? previous.position : undefined), expires_at, at, ...choices });
    const tones = { promoted: "good", offer: "good", lapsed: "careful", passed_over: "careful", cancelled: "stop", staff: "careful" };
    const isReplaced = status === "dropped" && (reason === "promoted" || this.#isGivenUp(section));
    if (tones[reason] || isReplaced) {
      this.#results.set(section, { message: isReplaced ? "change.replaced" : `change.${reason}`, tone: tones[reason] ?? "good", because: code && { code }, view: "both" });
      this.onresult([section]);
    } else if ((reason !== "self" && reason !== "moved") || this.#results.get(section)?.message === "drop.unconfirmed") {
      this.#results.delete(section);
    }
    this.#settle(section);
    this.onchange(section);
    // The frame carries neither credits nor choices, so a section that is new to this page is read, and the choices are
    // read again when one of their sections ends.
    const isChosen = status === "dropped" && [...this.#registrations.values()].some((one) => [one.with, one.any_of, one.drop].flat().includes(section));
    if ((!previous && status !== "dropped") || isChosen) this.load().catch(() => {});
  }
}
