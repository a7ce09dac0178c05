// How the college's Plone is, as the hub sees it: in sentences, with what an administrator can do about it.

import { $, button, h, put, table } from "../dom.js";
import { api } from "../api.js";
import { clock, count, listed, moment, span } from "../words.js";

const REFRESH_MS = 5_000;

const ROSTER = {
  protected: () => "Names are written: only those who may edit a section in Plone can read its roster.",
  unchecked: () => "Numbers are written, names not yet: it is not known who could read them in Plone. That is tried once a student has signed in by Plone.",
  readable: ({ by }) => `Numbers are written, names are not: ${by === "visitor" || !by ? "visitors of Plone" : by} could read them there.`,
};

/** Whether Plone answers: `{text, tone}`. */
export function wellness({ ok, circuit }) {
  const since = circuit?.opened_at ? ` since ${moment(circuit.opened_at)}` : "";
  if (ok) return { tone: "good", text: "Plone answers." };
  if (circuit?.state === "closed") return { tone: "careful", text: "Plone did not answer well the last time it was asked." };
  return { tone: "stop", text: `Plone has not answered${since}. Registration and alerts go on; what changes is written to Plone when it is back.` };
}

/** What is still to be written. */
export function waiting({ depth, oldest_age_s, in_flight }) {
  if (!depth) return "Every change is in Plone.";
  const oldest = oldest_age_s === null || oldest_age_s === undefined ? "" : `, the oldest for ${span(oldest_age_s * 1000)}`;
  return `${count(depth, "section")} ${depth === 1 ? "waits" : "wait"} to be written to Plone${oldest}${in_flight ? `; ${in_flight} on the way` : ""}.`;
}

export class PloneDesk {
  #timer = 0;
  #running = false;
  #drawn = "";

  run(running) {
    this.#running = running;
    clearTimeout(this.#timer);
    if (running) this.#refresh();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    try {
      this.#draw(await api.get("/api/v1/admin/plone"));
    } catch (problem) {
      put($("plone-state"), problem.message);
    }
    if (this.#running) this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  #draw(plone) {
    $("plone-link").hidden = $("plone-view").hidden = !plone.configured;
    if (!plone.configured) return;
    const { tone, text } = wellness(plone);
    $("plone-state").className = tone;
    if ($("plone-state").textContent !== text) put($("plone-state"), text);
    const { pool, sync, outbox, announcements, roster } = plone;
    put($("plone-facts"), [
      plone.url && `It is at ${plone.url}.`,
      outbox && waiting(outbox),
      roster && ROSTER[roster.state]?.(roster),
      sync?.last_at && `Its catalogue was last pulled at ${clock(sync.last_at)}.`,
      sync?.error && `The last pull did not work: ${sync.error}`,
      sync?.missing_fields?.length > 0 && `Its sections have no field for ${listed(sync.missing_fields)}, so that is not exchanged.`,
      announcements && `${count(announcements.count, "announcement")}${announcements.age_s === null ? "" : `, as of ${clock(Date.now() - announcements.age_s * 1000)}`}.`,
      pool && `${pool.in_use} of ${count(pool.size, "connection")} in use${pool.waiting ? `, ${count(pool.waiting, "request")} waiting` : ""}.`,
    ].filter(Boolean).map((line) => h("li", null, line)));
    this.#problems(sync ?? {});
    this.#aside(outbox);
  }

  #problems({ problems = [], problems_total = 0 } = {}) {
    put($("plone-problems"), problems.length > 0 && table(`${count(problems_total, "item")} of Plone could not be taken`, ["Item", "Why"],
      problems.map(({ path, reason }) => [path, reason])));
  }

  #aside(outbox) {
    const aside = outbox?.aside ?? [];
    const key = JSON.stringify(aside);
    if (key === this.#drawn) return;
    this.#drawn = key;
    const more = (outbox?.aside_total ?? 0) - aside.length;
    put($("plone-aside"), aside.length > 0 && [
      h("h3", null, "Refused by Plone"),
      table("What Plone refused stays here until it is sent again, or the section changes.", ["Section", "Since", "Why", ""],
        aside.map(({ section, at, reason }) => [section, moment(at), reason, button("Send again", () => this.#resend([section]))])),
      more > 0 && h("p", { class: "none" }, `And ${count(more, "section")} more.`),
      button("Send all again", () => this.#resend()),
    ]);
  }

  #resend(sections) {
    return this.#do("Asking…", async () => {
      const { resent } = await api.post("/api/v1/admin/plone/outbox/resend", sections ? { sections } : {});
      return `${count(resent, "section")} will be sent again.`;
    });
  }

  pull() {
    return this.#do("Pulling…", async () => {
      const { announcements } = await api.post("/api/v1/admin/plone/sync", {}, { ms: 0 });
      return `Pulled at ${clock(Date.now())}, ${count(announcements, "announcement")}.`;
    });
  }

  async #do(before, work) {
    put($("plone-answer"), before);
    $("plone-pull").disabled = true;
    try {
      put($("plone-answer"), await work());
    } catch (problem) {
      put($("plone-answer"), problem.message);
    }
    $("plone-pull").disabled = false;
    await this.#refresh();
  }
}
