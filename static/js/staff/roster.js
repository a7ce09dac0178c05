// Who is in a section and who waits for it, kept as it changes while it is looked at.

import { button, h, later, put, table } from "../dom.js";
import { api } from "../api.js";
import { moment, nth, sentence } from "../words.js";

/** A section that moves is asked about at most so often. */
const AGAIN_MS = 1_000;
/** Lines of each list that are drawn; the file has all of them. */
const LINES_MAX = 200;

const path = (id) => `/api/v1/sections/${encodeURIComponent(id)}/roster`;
const who = (one) => one.name && one.name !== one.user ? one.name : one.user;

export class Roster {
  #text = "";

  /** `onwrite()`: an alert to everyone in it is wanted. */
  constructor(id, name, onwrite) {
    this.id = id;
    this.lists = h("div", null, h("p", { class: "none" }, "Asking for the roster…"));
    this.answer = h("span", { role: "status" });
    this.file = button("Download the roster (CSV)", () => this.#download(), { "aria-label": `Download the roster (CSV) of ${name}` });
    this.write = button("Write to them", onwrite, { class: "quiet", "aria-label": `Write to them: everyone in ${name}` });
    this.el = h("div", { class: "roster" }, h("p", null, this.file, " ", this.write, " ", this.answer), this.lists);
    this.again = later(AGAIN_MS, () => this.el.isConnected && this.load());
  }

  async load() {
    try {
      const { items } = await api.get(path(this.id));
      const text = JSON.stringify(items);
      if (text === this.#text) return;
      this.#text = text;
      const [enrolled, waiting] = [items.filter(({ status }) => status === "enrolled"), items.filter(({ status }) => status !== "enrolled")];
      this.file.disabled = !items.length;
      this.write.disabled = !enrolled.length;
      put(this.lists, this.#list(`Enrolled: ${enrolled.length.toLocaleString()}`, ["Name", "User name", "Since"], enrolled, (one) => [who(one), one.user, moment(one.since)], "Nobody is enrolled yet."),
        this.#list(`Waiting: ${waiting.length.toLocaleString()}`, ["Place", "Name", "User name", "Since"], waiting, (one) => [one.status === "offered" ? "is offered a seat" : nth(one.position), who(one), one.user, moment(one.since)], "Nobody is waiting."));
    } catch (problem) {
      put(this.lists, h("p", { class: "stop" }, `The roster did not arrive. ${sentence(problem)} `, button("Ask again", () => this.load(), { class: "plain" })));
    }
  }

  #list(title, heads, people, row, none) {
    const more = people.length > LINES_MAX && h("p", { class: "none" }, `These are the first ${LINES_MAX}; the file has all of them.`);
    return h("div", null, people.length ? [table(title, heads, people.slice(0, LINES_MAX).map(row)), more] : [h("h4", null, title), h("p", { class: "none" }, none)]);
  }

  /** A link would ask for the page's kind of answer; the file has to be asked for by its kind. */
  async #download() {
    put(this.answer, "Fetching the file…");
    try {
      const answer = await fetch(path(this.id), { headers: { Accept: "text/csv" } });
      if (!answer.ok) throw Object.assign(new Error(), await answer.json());
      const link = h("a", { href: URL.createObjectURL(await answer.blob()), download: `roster-${this.id}.csv` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), AGAIN_MS);
      put(this.answer);
    } catch (problem) {
      put(this.answer, `The file did not arrive. ${sentence(problem.code ? problem : { code: "no_answer" })}`);
    }
  }
}
