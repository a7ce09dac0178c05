// The "Plone" view: the state of the connection to Plone, and the actions of an administrator.

import { $, button, h, put, table } from "../dom.js";
import { api } from "../api.js";
import { Poller } from "../poll.js";
import { timeOfDay, count, joinList, dateTime, duration } from "../words.js";

const REFRESH_MS = 5_000;

/** Whether rosters with names are written to Plone, by the state of their protection. */
const ROSTER = {
  protected: () => "Names are written to Plone: only people who can edit a section there can read its roster.",
  unchecked: () => "Only seat counts are written to Plone. Names follow once a student has signed in through Plone and "
    + "EduHub has checked who can read them.",
  readable: ({ by }) => `Only seat counts are written to Plone, because ${by === "visitor" || !by ? "visitors" : by} could read the names there.`,
};

/** Returns whether Plone responds, as `{tone, text}`. */
export function ploneStatus({ ok, circuit }) {
  if (ok) return { tone: "good", text: "Plone is responding." };
  if (circuit?.state === "closed") return { tone: "careful", text: "The last request to Plone failed." };
  const since = circuit?.opened_at ? ` since ${dateTime(circuit.opened_at)}` : "";
  return { tone: "stop", text: `Plone has not responded${since}. Registration and alerts continue; changes are written to Plone when it is back.` };
}

/** Returns how many sections are still to be written to Plone. */
export function outboxText({ depth, oldest_age_s, in_flight }) {
  if (!depth) return "Plone is up to date.";
  const oldest = oldest_age_s === null || oldest_age_s === undefined ? "" : `, the oldest for ${duration(oldest_age_s * 1000)}`;
  const inFlight = in_flight ? `; ${in_flight} in progress` : "";
  return `${count(depth, "section is", "sections are")} waiting to be written to Plone${oldest}${inFlight}.`;
}

/** Returns when the announcements were read, if that is known. */
const ageText = ({ age_s }) => age_s === null ? "" : `, as of ${timeOfDay(Date.now() - age_s * 1000)}`;

export class PloneView {
  /** Whether the hub has said if it is connected to a Plone. Without one, the view has no link. */
  #isKnown = false;
  /** The rejected sections that are shown, as JSON. */
  #shownRejected = "";
  #poller = new Poller((signal) => this.#read(signal), {
    ms: REFRESH_MS,
    isNeeded: () => !this.#isKnown || document.body.dataset.view === "plone",
    onerror: (problem) => put($("plone-state"), problem.message),
  });

  constructor() {
    $("plone-pull").addEventListener("click", () => this.#pull());
  }

  run(running) {
    if (running) this.#poller.start();
    else this.#poller.stop();
  }

  async #read(signal) {
    this.#draw(await api.get("/api/v1/admin/plone", { signal }));
    this.#isKnown = true;
  }

  #draw(plone) {
    $("plone-link").hidden = $("plone-view").hidden = !plone.configured;
    if (!plone.configured) return;
    const { tone, text } = ploneStatus(plone);
    $("plone-state").className = tone;
    if ($("plone-state").textContent !== text) put($("plone-state"), text);
    const { pool, sync, outbox, announcements, roster } = plone;
    put($("plone-facts"), [
      plone.url && `Address: ${plone.url}`,
      outbox && outboxText(outbox),
      roster && ROSTER[roster.state]?.(roster),
      sync?.last_at && `The catalogue was last pulled at ${timeOfDay(sync.last_at)}.`,
      sync?.error && `The last pull failed: ${sync.error}`,
      sync?.missing_fields?.length > 0 && `Sections in Plone have no field for ${joinList(sync.missing_fields)}; these fields are not synchronized.`,
      announcements && `${count(announcements.count, "announcement")}${ageText(announcements)}.`,
      pool && `${pool.in_use} of ${count(pool.size, "connection")} in use${pool.waiting ? `, ${count(pool.waiting, "request")} waiting` : ""}.`,
    ].filter(Boolean).map((line) => h("li", null, line)));
    this.#drawProblems(sync ?? {});
    this.#drawRejected(outbox);
  }

  /** Items of Plone that a pull could not read. */
  #drawProblems({ problems = [], problems_total = 0 }) {
    put($("plone-problems"), problems.length > 0 && table(`${count(problems_total, "Plone item")} could not be read`, ["Item", "Reason"],
      problems.map(({ path, reason }) => [path, reason])));
  }

  /** Sections that Plone rejected, which the API calls `aside`. */
  #drawRejected(outbox) {
    const rejected = outbox?.aside ?? [];
    const key = JSON.stringify(rejected);
    if (key === this.#shownRejected) return;
    this.#shownRejected = key;
    const more = (outbox?.aside_total ?? 0) - rejected.length;
    put($("plone-rejected"), rejected.length > 0 && [
      h("h3", null, "Rejected by Plone"),
      table("A rejected section stays here until you resend it or it changes.", ["Section", "Since", "Reason", ""],
        rejected.map(({ section, at, reason }) => [section, dateTime(at), reason, button("Resend", () => this.#resend([section]))])),
      more > 0 && h("p", { class: "none" }, `And ${count(more, "more section")}.`),
      button("Resend all", () => this.#resend()),
    ]);
  }

  /** Sends the given sections to Plone again, or all rejected ones. */
  #resend(sections) {
    return this.#perform("Resending…", async () => {
      const { resent } = await api.post("/api/v1/admin/plone/outbox/resend", sections ? { sections } : {});
      return `${count(resent, "section")} will be sent again.`;
    });
  }

  #pull() {
    return this.#perform("Pulling…", async () => {
      const { announcements } = await api.post("/api/v1/admin/plone/sync", {}, { ms: 0 });
      return `Pulled at ${timeOfDay(Date.now())}: ${count(announcements, "announcement")}.`;
    });
  }

  async #perform(progressText, action) {
    put($("plone-status"), progressText);
    $("plone-pull").disabled = true;
    try {
      put($("plone-status"), await action());
    } catch (problem) {
      put($("plone-status"), problem.message);
    }
    $("plone-pull").disabled = false;
    await this.#poller.now();
  }
}
