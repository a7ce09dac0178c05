// The sections of a term: the first screen at once, the rest behind it, and the search over all of them.

import { api, passes, pause, query } from "./api.js";
import { name } from "./words.js";

/** What the first screen needs; the hub filters it. */
const FIRST = 60;
/** How many come at once afterwards: few enough to be read without holding up the page. */
const PAGE = 500;

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
/** How long after a section that is not known the term is read anew, at most: an import makes many, for everybody at once. */
const REFRESH_MS = 20_000;
const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** What a search looks through: `math151` finds `MATH 151`, too. */
const searched = ({ course, title, instructor, crn, section, component }) =>
  plain([course, course.replace(/\s+/g, ""), title, instructor, crn, section, component].filter(Boolean).join(" "));

export class Catalogue {
  #known = new Map();
  #texts = new Map();
  #order = [];
  #asked = new Map();
  #asking = null;
  #due = 0;
  /** What is shown may be older than what is here. */
  renewed = false;
  term = null;
  /** `loading`, `first` (only the first screen is here), `partly`, `ready` or `failed` (with `problem`). */
  state = "loading";

  /** `numbers(id)`: the newest seats of a section; `onchange()`: more is here. */
  constructor(numbers, onchange) {
    this.numbers = numbers;
    this.onchange = onchange;
  }

  /** A section by its id, of whichever term, or undefined. */
  get = (id) => this.#known.get(id);

  /** What people call a section. */
  name = (id) => name(this.#known.get(id), id);

  /** The ids of what is here of the term, in the hub's order. */
  get all() {
    return this.#order;
  }

  /** Takes a section as it is now. */
  put(section) {
    this.#known.set(section.id, section);
  }

  /** How many sections of the term are here. */
  get size() {
    return this.#order.length;
  }

  /** The subjects of what is here. */
  get subjects() {
    return [...new Set(this.#order.map((id) => subject(this.#known.get(id))))].sort();
  }

  /**
   * Reads a term: first what `filter` asks for, then everything. What failed and may pass is asked for again, unless the
   * page that asks has a way of its own (`patient` is false).
   */
  async load(term, filter = { q: "", subject: "", days: [], open: false, order: "course" }, { patient = true } = {}) {
    this.#asking?.abort();
    const asking = this.#asking = new AbortController();
    const ask = async (fields) => {
      for (;;) try {
        return await api.get(`/api/v1/sections${query({ term, ...fields })}`, { signal: asking.signal });
      } catch (problem) {
        if (asking.signal.aborted || !patient || !passes(problem)) throw problem;
        this.problem = problem;
        this.#tell("failed");
        await pause(problem);
      }
    };
    this.term = term;
    this.#order = [];
    this.#tell("loading");
    try {
      const { q, subject, open, days } = filter;
      const first = await ask({ q, subject, open: open && "true", days: days.join(","), limit: FIRST });
      // What nobody has narrowed down is the beginning of the whole term.
      const whole = !q && !subject && !open && !days.length;
      this.#keep(first.items, whole);
      this.first = { ...first, of: JSON.stringify(filter) };
      this.#tell("first");
      for (let cursor = whole ? first.next ?? undefined : null; cursor !== undefined;) {
        // What was pressed meanwhile comes first.
        await new Promise((resolve) => setTimeout(resolve));
        const { items, next } = await ask({ limit: PAGE, cursor });
        this.#keep(items, true);
        cursor = next ?? undefined;
        if (cursor) this.#tell("partly");
      }
      this.#tell("ready");
    } catch (problem) {
      if (asking.signal.aborted) return;
      this.problem = problem;
      this.#tell("failed");
    }
  }

  /** A section is there that was not: reads the term anew behind what is shown, once for all of them. */
  refresh() {
    if (this.state !== "ready") return;
    this.#due ||= setTimeout(async () => {
      const [term, order] = [this.term, []];
      try {
        for (let cursor = null; cursor !== undefined;) {
          const { items, next } = await api.get(`/api/v1/sections${query({ term, limit: PAGE, cursor })}`);
          if (term !== this.term) break;
          for (const section of items) {
            order.push(section.id);
            this.#known.set(section.id, section);
            this.#texts.set(section.id, searched(section));
          }
          cursor = next ?? undefined;
        }
        if (term === this.term) {
          this.#order = order;
          this.renewed = true;
          this.onchange();
        }
      } catch { /* The next one that is not known asks again. */ }
      this.#due = 0;
    }, REFRESH_MS * (0.1 + 0.9 * Math.random()));
  }

  #tell(state) {
    this.state = state;
    this.onchange();
  }

  #keep(sections, inOrder) {
    for (const section of sections) {
      this.#known.set(section.id, section);
      if (!inOrder) continue;
      this.#order.push(section.id);
      this.#texts.set(section.id, searched(section));
    }
  }

  /** Makes these known; one that does not exist any more stays unknown. */
  async need(ids) {
    await Promise.all(ids.filter((id) => !this.#known.has(id)).map((id) => {
      if (!this.#asked.has(id)) {
        const answer = api.get(`/api/v1/sections/${encodeURIComponent(id)}`).then(
          (section) => this.#known.set(id, section),
          (problem) => problem.status !== 404 && this.#asked.delete(id),
        );
        this.#asked.set(id, answer);
      }
      return this.#asked.get(id);
    }));
  }

  /** Whether the first screen is still the better answer: the hub looked through everything. */
  isFirst(filter) {
    if (this.state === "first") return true;
    const asks = filter.q || filter.subject || filter.days.length || filter.open;
    return this.state === "partly" && asks && this.first.of === JSON.stringify(filter);
  }

  /** The ids that fit, in the order asked for; what names the course comes before what only mentions it. */
  search(filter) {
    const { q, subject: wanted, days, open, order } = filter;
    if (this.isFirst(filter)) return this.first.items.map(({ id }) => id);
    const words = plain(q).split(/\s+/).filter(Boolean);
    const named = words.join(" ");
    const ranks = [[], [], []];
    for (const id of this.#order) {
      const section = this.#known.get(id);
      if (wanted && subject(section) !== wanted) continue;
      if (open && this.numbers(id).open <= 0) continue;
      if (days.length && !days.every((day) => section.meetings?.some((one) => one.days?.includes(day)))) continue;
      const text = this.#texts.get(id);
      if (!words.every((word) => text.includes(word))) continue;
      const start = text.indexOf(named);
      ranks[words.length === 0 || start === 0 ? 0 : start > 0 ? 1 : 2].push(id);
    }
    const found = ranks.flat();
    if (order === "time") return by(found, (id) => first(this.#known.get(id)));
    if (order === "seats") return by(found, (id) => -this.numbers(id).open);
    return found;
  }

  /** Other sections of the same course and kind that have seats. */
  others(id) {
    const section = this.#known.get(id);
    if (!section) return [];
    return this.#order.filter((other) => {
      const it = this.#known.get(other);
      return other !== id && it.course === section.course && it.component === section.component && this.numbers(other).open > 0;
    });
  }
}

const subject = ({ course }) => course.split(" ")[0];

/** When a section meets first in a week, as a number; without a time, after all others. */
function first({ meetings = [] }) {
  const starts = meetings.filter((one) => one.start).flatMap((one) => one.days.map((day) => WEEK.indexOf(day) * 10_000 + Number(one.start.replace(":", ""))));
  return starts.length ? Math.min(...starts) : Infinity;
}

function by(ids, key) {
  const keys = new Map(ids.map((id) => [id, key(id)]));
  return ids.sort((a, b) => (keys.get(a) === keys.get(b) ? 0 : keys.get(a) - keys.get(b)));
}
