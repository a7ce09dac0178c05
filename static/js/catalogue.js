// The sections of a term, and the search over them. The first screen loads at once, the rest in the background.

import { api, isTransient, query, waitBeforeRetry } from "./api.js";
import { sectionName } from "./words.js";

/** Sections of the first request, which the hub filters: enough for one screen. */
const FIRST = 60;
/** Sections of each later request: few enough to be parsed without blocking the page. */
const PAGE = 500;

/** Removes accents and case. */
export const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
/** The longest delay before the term is read again. It is random, because an import makes every page read at once. */
const REFRESH_MS = 20_000;
const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/**
 * Returns the text that a search matches. `math151` also finds `MATH 151`, and `AB.101.01`, the CRN in an id, also
 * finds the CRN `AB 101-01`.
 */
const searchText = ({ id, course, title, instructor, crn, section, component }) =>
  fold([course, course.replace(/\s+/g, ""), title, instructor, crn, id.slice(id.lastIndexOf("-") + 1), section, component]
    .filter(Boolean).join(" "));

export class Catalogue {
  #known = new Map();
  #texts = new Map();
  #order = [];
  /** Requests of single sections, by id. */
  #requests = new Map();
  #loading = null;
  #due = 0;
  /** Whether the sections are newer than the list on the page. */
  updated = false;
  term = null;
  /** `loading`, `first` (only the first screen), `partial`, `ready`, or `failed` (with `problem`). */
  state = "loading";

  /**
   * `numbers(id)` returns the newest seat counts of a section; `onchange()` is called when `state` has changed, when
   * more sections have loaded, and after a `refresh`.
   */
  constructor(numbers, onchange) {
    this.numbers = numbers;
    this.onchange = onchange;
  }

  /** Returns a section of any term by its id, or undefined. */
  get = (id) => this.#known.get(id);

  /** Returns a section's name for display. */
  name = (id) => sectionName(this.#known.get(id), id);

  /** The ids of the loaded sections of the term, in the hub's order. */
  get all() {
    return this.#order;
  }

  /** Replaces a section. */
  put(section) {
    this.#known.set(section.id, section);
  }

  /** The number of loaded sections of the term. */
  get size() {
    return this.#order.length;
  }

  /** The subjects of the loaded sections, sorted. */
  get subjects() {
    return [...new Set(this.#order.map((id) => subject(this.#known.get(id))))].sort();
  }

  /**
   * Loads a term: first the sections that match `filter`, then all. Transient failures are retried unless `retry` is
   * false.
   */
  async load(term, filter = { q: "", subject: "", days: [], open: false, order: "course" }, { retry = true } = {}) {
    this.#loading?.abort();
    const loading = this.#loading = new AbortController();
    const request = async (fields) => {
      for (;;) try {
        return await api.get(`/api/v1/sections${query({ term, ...fields })}`, { signal: loading.signal });
      } catch (problem) {
        if (loading.signal.aborted || !retry || !isTransient(problem)) throw problem;
        this.problem = problem;
        this.#setState("failed");
        await waitBeforeRetry(problem);
      }
    };
    this.term = term;
    this.#order = [];
    this.#setState("loading");
    try {
      const { q, subject, open, days } = filter;
      const first = await request({ q, subject, open: open && "true", days: days.join(","), limit: FIRST });
      // Without a filter, the first sections are the beginning of the whole term.
      const whole = !q && !subject && !open && !days.length;
      this.#add(first.items, whole);
      this.first = { ...first, of: JSON.stringify(filter) };
      this.#setState("first");
      for (let cursor = whole ? first.next ?? undefined : null; cursor !== undefined;) {
        // Lets the page handle input first.
        await new Promise((resolve) => setTimeout(resolve));
        const { items, next } = await request({ limit: PAGE, cursor });
        this.#add(items, true);
        cursor = next ?? undefined;
        if (cursor) this.#setState("partial");
      }
      this.#setState("ready");
    } catch (problem) {
      if (loading.signal.aborted) return;
      this.problem = problem;
      this.#setState("failed");
    }
  }

  /** Reads the term again in the background, for a new or changed section; calls within the delay share one read. */
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
            this.#texts.set(section.id, searchText(section));
          }
          cursor = next ?? undefined;
        }
        if (term === this.term) {
          this.#order = order;
          this.updated = true;
          this.onchange();
        }
      } catch { /* The next unknown section triggers another read. */ }
      this.#due = 0;
    }, REFRESH_MS * (0.1 + 0.9 * Math.random()));
  }

  #setState(state) {
    this.state = state;
    this.onchange();
  }

  #add(sections, inOrder) {
    for (const section of sections) {
      this.#known.set(section.id, section);
      if (!inOrder) continue;
      this.#order.push(section.id);
      this.#texts.set(section.id, searchText(section));
    }
  }

  /** Loads the sections that are not known yet. One that no longer exists stays unknown. */
  async ensure(ids) {
    await Promise.all(ids.filter((id) => !this.#known.has(id)).map((id) => {
      if (!this.#requests.has(id)) {
        const request = api.get(`/api/v1/sections/${encodeURIComponent(id)}`).then(
          (section) => this.#known.set(id, section),
          (problem) => problem.status !== 404 && this.#requests.delete(id),
        );
        this.#requests.set(id, request);
      }
      return this.#requests.get(id);
    }));
  }

  /**
   * Returns whether the first screen is still the best result for `filter`: nothing else has loaded, or the hub has
   * searched the whole term for it.
   */
  isFirst(filter) {
    if (this.state === "first") return true;
    const isFiltered = filter.q || filter.subject || filter.days.length || filter.open;
    return this.state === "partial" && isFiltered && !filter.also && this.first.of === JSON.stringify(filter);
  }

  /**
   * Returns the ids that match `filter`, in its order. In the order by course, sections whose course begins with the
   * words come first, then those that contain the words one after the other.
   */
  search(filter) {
    const { q, subject: chosen, days, open, order, also = () => true } = filter;
    if (this.isFirst(filter)) return this.first.items.map(({ id }) => id).filter((id) => also(this.#known.get(id)));
    const words = fold(q).split(/\s+/).filter(Boolean);
    const phrase = words.join(" ");
    const ranks = [[], [], []];
    for (const id of this.#order) {
      const section = this.#known.get(id);
      if (chosen && subject(section) !== chosen) continue;
      if (open && this.numbers(id).open <= 0) continue;
      if (days.length && !days.every((day) => section.meetings?.some((one) => one.days?.includes(day)))) continue;
      if (!also(section)) continue;
      const text = this.#texts.get(id);
      if (!words.every((word) => text.includes(word))) continue;
      const start = text.indexOf(phrase);
      ranks[words.length === 0 || start === 0 ? 0 : start > 0 ? 1 : 2].push(id);
    }
    const found = ranks.flat();
    if (order === "time") return sortBy(found, (id) => firstMeeting(this.#known.get(id)));
    if (order === "seats") return sortBy(found, (id) => -this.numbers(id).open);
    return found;
  }

  /** Returns other sections of the same course and component that are not cancelled. */
  sameClass(id) {
    const section = this.#known.get(id);
    const isSame = (it) => it.id !== id && it.course === section.course && it.component === section.component && it.status !== "cancelled";
    return section ? this.#order.filter((other) => isSame(this.#known.get(other))) : [];
  }

  /** Returns other sections of the same course and component with open seats. */
  alternatives(id) {
    const section = this.#known.get(id);
    if (!section) return [];
    return this.#order.filter((other) => {
      const it = this.#known.get(other);
      return other !== id && it.course === section.course && it.component === section.component && this.numbers(other).open > 0;
    });
  }
}

const subject = (section) => section.subject;

/** Returns a number that orders sections by their first meeting in a week; sections without a time come last. */
function firstMeeting({ meetings = [] }) {
  const starts = meetings.filter((one) => one.start).flatMap((one) => one.days.map((day) => WEEK.indexOf(day) * 10_000 + Number(one.start.replace(":", ""))));
  return starts.length ? Math.min(...starts) : Infinity;
}

function sortBy(ids, key) {
  const keys = new Map(ids.map((id) => [id, key(id)]));
  return ids.sort((a, b) => (keys.get(a) === keys.get(b) ? 0 : keys.get(a) - keys.get(b)));
}
