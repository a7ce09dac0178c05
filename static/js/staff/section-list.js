// The list of a term's sections, with live seats and fields that staff edit in place.

import { $, button, debounce, put } from "../dom.js";
import { api } from "../api.js";
import { VirtualList } from "../list.js";
import { t } from "../i18n.js";
import { sheetParts } from "../print-sheet.js";
import { hasFewLeft, joinList, meetingTexts, problemText } from "../words.js";
import { SectionRow } from "./section-row.js";

const TYPING_MS = 80;
/** Sort keys, highest first. `full`: full sections by their waitlist, then the others by the share of seats taken. */
const SORT_KEYS = {
  full: ({ capacity, enrolled, waitlisted, open }) => open <= 0 ? 1 + waitlisted : capacity ? enrolled / capacity : 1,
  waiting: ({ waitlisted }) => waitlisted,
  left: ({ open }) => open,
};
/** An empty field is rejected, because it could mean either 0 or "unchanged". */
const EMPTY_FIELDS = { capacity: "section.empty.capacity", waitlist_capacity: "section.empty.waitlist_capacity" };

export class SectionList {
  /** Unsaved edits by section, kept while their row is scrolled away. */
  edits = new Map();
  /** Sections whose row is open. */
  opened = new Set();
  /** The result of the last save by section: `{text, tone, field, saving, confirm: {text, label, tone}}`. */
  results = new Map();

  /** `page`: see staff.js. */
  constructor(page) {
    this.page = page;
    this.form = $("section-search");
    this.list = new VirtualList($("section-rows"), () => new SectionRow(this));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", debounce(TYPING_MS, () => this.search()));
    $("sort-again").addEventListener("click", () => this.search());
    $("over-capacity").querySelector("button").addEventListener("click", () => this.#setFilter("over", ""));
  }

  /** Shows one section, and opens it. */
  show(id) {
    this.form.elements.q.value = this.page.catalogue.get(id)?.crn ?? "";
    this.form.elements.which.value = "";
    this.opened.clear();
    this.search();
    const row = this.list.row(id);
    if (!row?.roster) row?.open();
    row?.head.focus();
  }

  /** Shows all sections, the fullest first. */
  showFullest() {
    this.#setFilter("", "full");
    this.form.elements.q.focus();
  }

  #setFilter(filter, sort) {
    const { q, which, order } = this.form.elements;
    [q.value, which.value, order.value] = ["", filter, sort];
    this.search();
  }

  /** Returns whether a section that is not cancelled has more people enrolled than seats. */
  #isOverCapacity(id) {
    const { enrolled, capacity } = this.page.numbers(id);
    return enrolled > capacity && this.page.catalogue.get(id).status !== "cancelled";
  }

  #drawOverCapacity() {
    const n = this.page.catalogue.all.filter((id) => this.#isOverCapacity(id)).length;
    const text = n ? t("sections.n.over", { n }) : "";
    const el = $("over-capacity").querySelector("span");
    if (el.textContent !== text) put(el, text);
    $("over-capacity").hidden = !n;
  }

  search() {
    const { catalogue, numbers } = this.page;
    const { q, which, order } = this.form.elements;
    const matches = {
      few: (id) => hasFewLeft(numbers(id)),
      refused: (id) => this.page.refused().has(id),
      full: (id) => numbers(id).open <= 0 && numbers(id).enrolled >= numbers(id).capacity,
      waiting: (id) => numbers(id).waitlisted > 0,
      over: (id) => this.#isOverCapacity(id),
      closed: (id) => catalogue.get(id).status !== "open",
    }[which.value] ?? (() => true);
    const filter = { q: q.value, subject: "", days: [], open: false, order: "course" };
    const ids = catalogue.state === "loading" ? [] : catalogue.search(filter).filter(matches);
    const sortKey = SORT_KEYS[order.value];
    if (sortKey) {
      const keys = new Map(ids.map((id) => [id, sortKey(numbers(id))]));
      ids.sort((a, b) => keys.get(b) - keys.get(a));
    }
    // Rows never move while seats change. The button `sort-again` sorts them again.
    $("sort-again").hidden = !sortKey;
    const control = document.activeElement;
    const focusedRow = control?.closest(".srow");
    const focused = focusedRow && this.list.ids[focusedRow.dataset.index];
    this.list.show(ids);
    const row = this.list.row(focused);
    // A row that moved has lost the focus. Otherwise the user may be typing in one of its fields.
    if (row && !row.el.contains(document.activeElement)) (row.inputs[control.name] ?? row.head).focus({ preventScroll: true });
    put($("sections-found"), this.#foundText(ids.length));
    this.#drawOverCapacity();
    $("no-sections").hidden = ids.length > 0 || catalogue.state !== "ready";
  }

  #foundText(n) {
    const { catalogue } = this.page;
    if (catalogue.state === "ready") return t("n.sections", { n });
    if (catalogue.state !== "failed") return t("find.loading");
    return [problemText(catalogue.problem), " ", button(t("find.retry"), () => catalogue.load(catalogue.term), { class: "plain" })];
  }

  /** Returns the parts of a printed list: all sections that are listed, in their order. */
  sheet() {
    const { catalogue, numbers, term, termTitle } = this.page;
    const { ids } = this.list;
    const row = (id) => {
      const section = catalogue.get(id);
      const { enrolled, capacity, waitlisted } = numbers(id);
      return [catalogue.name(id), section.title, meetingTexts(section).join("; "), section.instructor ?? t("section.no_instructor"), enrolled, capacity, waitlisted, t(`section.status.${section.status}`)];
    };
    const heads = [t("field.section"), t("field.title"), t("field.meetings"), t("field.instructor"), t("field.enrolled"), t("field.capacity"), t("field.waitlisted"), t("field.status")];
    return ids.length ? sheetParts(termTitle(term()), [t("n.sections", { n: ids.length })], [{ heads, rows: ids.map(row) }]) : [];
  }

  redraw(ids) {
    this.#drawOverCapacity();
    this.list.redraw(ids);
  }

  /** Saves only the changed fields, so that the edits of other staff to the rest of the section are not overwritten. */
  async save(id) {
    const { catalogue } = this.page;
    const section = catalogue.get(id);
    const body = Object.fromEntries(Object.entries(this.edits.get(id) ?? {}).filter(([name, value]) => value !== section[name]));
    if (!Object.keys(body).length) return this.undo(id);
    const empty = Object.keys(EMPTY_FIELDS).find((name) => body[name] === "");
    if (empty) return this.#setResult(id, { text: t(EMPTY_FIELDS[empty]), tone: "stop", field: empty });
    const confirm = !this.results.get(id)?.confirm && this.#question(id, body);
    if (confirm) return this.#setResult(id, { confirm });
    this.#setResult(id, { text: t("save.pending"), saving: true });
    try {
      catalogue.put(await api.patch(`/api/v1/sections/${encodeURIComponent(id)}`, body));
      this.edits.delete(id);
      this.#setResult(id, { text: t("save.done"), tone: "good" });
    } catch (problem) {
      this.#setResult(id, { text: problemText(problem), tone: "stop", field: problem.field });
    }
  }

  /**
   * Returns the question that staff must confirm before a section is cancelled, or its capacity is lowered below the
   * number enrolled; null for other changes.
   */
  #question(id, { status, capacity }) {
    const { enrolled, waitlisted, capacity: before } = this.page.numbers(id);
    const name = this.page.catalogue.name(id);
    if (status === "cancelled") {
      // Students on the waitlist get the alert, too; people who are registered outside EduHub do not.
      const { outside_enrolled = 0, outside_waitlisted = 0 } = this.page.catalogue.get(id);
      const outside = outside_enrolled + outside_waitlisted;
      const notified = enrolled + (waitlisted ?? 0) - outside;
      const people = joinList([t("section.n.enrolled", { n: enrolled }), waitlisted && t("n.waiting", { n: waitlisted })].filter(Boolean));
      return { tone: "danger", label: notified > 0 ? t("section.cancel.notify", { n: notified }) : t("section.cancel"),
        text: [t("section.cancel.text", { section: name, people }), outside > 0 && t("section.cancel.outside", { n: outside })].filter(Boolean).join(" ") };
    }
    if (capacity === undefined || capacity >= enrolled || capacity >= before) return null;
    return { tone: "strong", label: t("section.lower", { n: capacity }),
      text: [t("section.lower.stay", { n: enrolled, section: name, over: enrolled - capacity }), t("section.lower.until", { n: capacity }),
        waitlisted && t("section.lower.waiting", { n: waitlisted })].filter(Boolean).join(" ") };
  }

  /** Withdraws a question; the edits stay. */
  abandon(id) {
    this.results.delete(id);
    this.redraw([id]);
    this.list.row(id)?.inputs.status.focus();
  }

  #setResult(id, result) {
    this.results.set(id, result);
    this.redraw([id]);
  }

  undo(id) {
    this.edits.delete(id);
    this.results.delete(id);
    this.redraw([id]);
  }
}
