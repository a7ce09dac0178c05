// What a student holds, what was asked, and what the hub answered. Nothing is held here before the hub said so.

import { api, mine } from "./api.js";
import { refusal, standing } from "./words.js";

export class Registrations {
  #held = new Map();
  #doing = new Map();
  #answers = new Map();

  /**
   * `onchange(id)`: one section's standing, question or answer; null for all. `say(text)` reads an answer out;
   * `onclosed()`: the hub says that registration is closed. `book` names sections.
   */
  constructor(live, book, { onchange, say, onclosed }) {
    Object.assign(this, { book, onchange, say, onclosed });
    live.on("registration", (frame) => this.#told(frame));
  }

  /** Forgets whoever was here. */
  forget() {
    this.#held.clear();
    this.#doing.clear();
    this.#answers.clear();
    this.onchange(null);
  }

  async load() {
    const { items } = await api.get("/api/v1/me/registrations");
    this.#held = new Map(items.map((one) => [one.section, one]));
    await this.book.need([...this.#held.keys()]);
    this.onchange(null);
  }

  /** The registration in a section: `{status, position?, credits, at}` or undefined. */
  get(id) {
    return this.#held.get(id);
  }

  /** What is held in a term, seats first. */
  inTerm(term) {
    const held = [...this.#held.values()].filter(({ section }) => section.slice(0, section.lastIndexOf("-")) === term);
    return held.sort((a, b) => a.status.localeCompare(b.status) || a.section.localeCompare(b.section));
  }

  /** What is going on with a section: `Adding…` and the like, or undefined. */
  doing(id) {
    return this.#doing.get(id);
  }

  /** The last answer: `{text, tone, next?, with?}` or undefined. */
  answer(id) {
    return this.#answers.get(id);
  }

  /** Forgets the last answer about a section. */
  settle(id) {
    this.#answers.delete(id);
    this.onchange(id);
  }

  register(id, { waitlist = false } = {}) {
    return this.#ask([id], waitlist ? "Joining…" : "Adding…", async () => {
      this.#granted(await api.put(`${mine(id)}${waitlist ? "?waitlist=true" : ""}`));
    });
  }

  drop(id) {
    return this.#ask([id], "Dropping…", async () => this.#granted(await api.delete(mine(id))));
  }

  /** Takes `id` in place of `other`: both or neither. */
  swap(id, other) {
    return this.#ask([id, other], "Swapping…", async () =>
      this.#results(await api.post("/api/v1/me/registrations", { add: [id], drop: [other], swap: true, waitlist: false })));
  }

  /** Tries all that is planned, in one go. */
  plan(ids) {
    return this.#ask(ids, "Adding…", async () => this.#results(await api.post("/api/v1/me/plan/register")));
  }

  async #ask(ids, doing, act) {
    if (ids.some((id) => this.#doing.has(id))) return;
    for (const id of ids) {
      this.#answers.delete(id);
      this.#doing.set(id, doing);
      this.onchange(id);
    }
    let look = false;
    try {
      await act();
    } catch (problem) {
      for (const id of ids) this.#refused(id, problem);
      look = ["no_answer", "outcome_unknown"].includes(problem.code);
    }
    for (const id of ids) {
      this.#doing.delete(id);
      this.onchange(id);
    }
    this.say(ids.map((id) => `${this.book.name(id)}: ${this.#answers.get(id)?.text ?? standing(this.#held.get(id))}`).join(" "));
    if (look) this.load().catch(() => {});
  }

  #results({ results }) {
    for (const { section, problem, ...rest } of results) {
      if (problem) this.#refused(section, problem);
      else this.#granted({ section, ...rest });
    }
  }

  #granted({ section, status, position, credits, at }) {
    if (status === "dropped") this.#held.delete(section);
    else {
      const known = this.#held.get(section)?.credits ?? this.book.get(section)?.credits ?? 0;
      this.#held.set(section, { section, status, position, credits: credits ?? known, at });
    }
    // What is held is said by its standing, which stays true when the line moves on.
    if (status === "dropped") this.#answers.set(section, { text: "Dropped.", tone: "good" });
    else this.#answers.delete(section);
    this.onchange(section);
  }

  #refused(id, problem) {
    if (problem.code === "registration_closed") this.onclosed();
    this.#answers.set(id, { tone: "stop", ...refusal(problem, this.book.name) });
    this.onchange(id);
  }

  /** Another tab, the waitlist or the college changed something. */
  #told({ section, status, position, reason, at }) {
    const had = this.#held.get(section);
    if (status === "dropped") this.#held.delete(section);
    else if (had) this.#held.set(section, { ...had, status, position: position ?? (status === had.status ? had.position : undefined), at });
    const said = {
      promoted: { text: "A seat became free, and it is yours.", tone: "good" },
      passed_over: { text: "A seat went past you. You keep your place.", tone: "careful" },
      cancelled: { text: "This section is cancelled.", tone: "stop" },
      staff: { text: "Changed by the registrar's office.", tone: "careful" },
    }[reason];
    if (said) {
      this.#answers.set(section, said);
      this.say(`${this.book.name(section)}: ${said.text}`);
    }
    this.onchange(section);
    // A section this page has not seen held yet: its credits are in the list.
    if (!had && status !== "dropped") this.load().catch(() => {});
  }
}
