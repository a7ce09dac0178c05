// What a student holds, what was asked, and what the hub answered. Nothing is held here before the hub said so.

import { api, mine } from "../api.js";

const termOf = (id) => id.slice(0, id.lastIndexOf("-"));

export class Mine {
  #held = new Map();
  #doing = new Map();
  #answers = new Map();
  /** Of each section, the last that was answered or told: the hub's time of it, and which piece of news it was. */
  #told = new Map();
  #news = 0;
  /** Readings of all that is held: how many were asked for, and the newest that was taken. */
  #asked = 0;
  #taken = 0;

  /**
   * `page`: see main.js. `onchange(id)`: one section's standing, question or answer; null for all. `onanswer(ids)`: the
   * hub has answered about these; `onclosed()`: it says that registration is closed.
   */
  constructor(page, { onchange, onanswer, onclosed }) {
    Object.assign(this, { page, onchange, onanswer, onclosed });
    page.live.on("registration", (frame) => this.#hear(frame));
  }

  /** Forgets whoever was here. */
  forget() {
    this.#held.clear();
    this.#doing.clear();
    this.#answers.clear();
    this.#told.clear();
    this.onchange(null);
  }

  /** Reads all that is held. What was answered or told while that was on its way is newer, and stays. */
  async load() {
    const [user, before, turn] = [this.page.user(), this.#news, this.#asked += 1];
    const { items } = await api.get("/api/v1/me/registrations");
    if (this.page.user() !== user || turn < this.#taken) return;
    this.#taken = turn;
    const read = new Map(items.map((one) => [one.section, one]));
    for (const [section, { news }] of this.#told) {
      if (news <= before) continue;
      if (this.#held.has(section)) read.set(section, this.#held.get(section));
      else read.delete(section);
    }
    this.#held = read;
    await this.page.catalogue.need([...this.#held.keys()]);
    this.onchange(null);
  }

  /** The registration in a section: `{status, position?, credits, at}` or undefined. */
  get(id) {
    return this.#held.get(id);
  }

  /** What is held in a term, in the order in which it was taken. */
  inTerm(term) {
    const held = [...this.#held.values()].filter(({ section }) => termOf(section) === term);
    return held.sort((a, b) => String(a.at).localeCompare(String(b.at)) || a.section.localeCompare(b.section));
  }

  /** The credits of what is enrolled in a term; what is cancelled counts for nothing. */
  credits(term) {
    const counted = this.inTerm(term).filter((one) => one.status === "enrolled" && this.page.catalogue.get(one.section)?.status !== "cancelled");
    return counted.reduce((sum, one) => sum + one.credits, 0);
  }

  /** What is going on with a section, as a key of the catalogue of words, or undefined. */
  doing(id) {
    return this.#doing.get(id);
  }

  /** The last answer: `{problem}` or `{news}`, and `place` where it was asked, or undefined. */
  answer(id) {
    return this.#answers.get(id);
  }

  /** Says something about a section that nobody has just asked for, by its key of the catalogue of words. */
  tell(id, news, tone) {
    this.#answers.set(id, { news, tone, place: "both" });
    this.onchange(id);
  }

  /** Forgets the last answer about a section. */
  settle(id) {
    if (this.#answers.delete(id)) this.onchange(id);
  }

  register(id, { waitlist = false, place = "row" } = {}) {
    return this.#ask([id], waitlist ? "doing.wait" : "doing.add", place, async () =>
      this.#granted(await api.put(`${mine(id)}${waitlist ? "?waitlist=true" : ""}`), place));
  }

  /** Drops for good. `keepalive`: the page is being closed. */
  drop(id, { keepalive = false, place = "row" } = {}) {
    if (keepalive) return fetch(mine(id), { method: "DELETE", keepalive: true });
    return this.#ask([id], "doing.drop", place, async () => this.#granted(await api.delete(mine(id)), place));
  }

  /** Takes `id` in place of `others`: all of it or nothing. */
  swap(id, others, place) {
    return this.#ask([id, ...others], "doing.swap", place, async () =>
      this.#results(await api.post("/api/v1/me/registrations", { add: [id], drop: others, swap: true, waitlist: false }), place));
  }

  /** Tries all of these in one go. */
  all(ids) {
    return this.#ask(ids, "doing.add", "term", async () =>
      this.#results(await api.post("/api/v1/me/registrations", { add: ids, drop: [], swap: false, waitlist: false }), "term"));
  }

  async #ask(ids, doing, place, act) {
    if (ids.some((id) => this.#doing.has(id))) return;
    for (const id of ids) {
      this.#answers.delete(id);
      this.#doing.set(id, doing);
      this.onchange(id);
    }
    let look = false;
    try {
      // What waits to be dropped goes first: it may stand in the way.
      if (doing !== "doing.drop") await this.page.drops.flush();
      await act();
    } catch (problem) {
      for (const id of ids) this.#refused(id, problem, place);
      look = ["no_answer", "outcome_unknown"].includes(problem.code);
    }
    for (const id of ids) {
      this.#doing.delete(id);
      this.onchange(id);
    }
    this.onanswer(ids);
    if (look) this.load().catch(() => {});
  }

  #results({ results }, place) {
    for (const { section, problem, ...rest } of results) {
      if (problem) this.#refused(section, problem, place);
      else this.#granted({ section, ...rest }, place);
    }
  }

  /** Takes a section's standing as the hub has just said it: over two ways, so that an older word may come last. */
  #stand(section, { status, position, credits, at }) {
    if (Date.parse(at) < Date.parse(this.#told.get(section)?.at)) return this.load().catch(() => {});
    this.#told.set(section, { at, news: this.#news += 1 });
    if (status === "dropped") return this.#held.delete(section);
    const known = this.#held.get(section)?.credits ?? this.page.catalogue.get(section)?.credits ?? 0;
    this.#held.set(section, { section, status, position, credits: credits ?? known, at });
  }

  #granted({ section, ...standing }, place) {
    this.#stand(section, standing);
    if (standing.status === "dropped") {
      // Whoever drops a section does not want it from the plan again.
      this.page.plan.remove(section);
      this.#answers.set(section, { news: "drop.done", tone: "good", place });
      return;
    }
    // What is held is said by its standing, which stays true when the line moves on.
    this.#answers.delete(section);
  }

  #refused(id, problem, place) {
    if (problem.code === "registration_closed") this.onclosed();
    // How many are ahead is what was so when it was refused; the live numbers say what is so now.
    this.#answers.set(id, { problem: { ...problem, code: problem.code }, tone: "stop", place });
  }

  /** Another tab, the waitlist or the college changed something. */
  #hear({ section, status, position, reason, code, at }) {
    const had = this.#held.get(section);
    this.#stand(section, { status, position: position ?? (status === had?.status ? had.position : undefined), at });
    const tones = { promoted: "good", passed_over: "careful", cancelled: "stop", staff: "careful" };
    if (tones[reason]) {
      this.#answers.set(section, { news: `news.${reason}`, tone: tones[reason], because: code && { code }, place: "both" });
      this.onanswer([section]);
    } else if ((reason !== "self" && reason !== "moved") || this.#answers.get(section)?.news === "drop.unheard") {
      this.#answers.delete(section);
    }
    this.onchange(section);
    // A section this page has not seen held yet: its credits are in the list.
    if (!had && status !== "dropped") this.load().catch(() => {});
  }
}
