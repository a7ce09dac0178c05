// The "Plone" view: the state of the connection to Plone, and the actions of an administrator.

import { codedText } from "../coded-text.js";
import { $, button, h, put, table } from "../dom.js";
import { api } from "../api.js";
import { Poller } from "../poll.js";
import { has, t } from "../i18n.js";
import { richText } from "../rich-text.js";
import { timeOfDay, joinList, dateTime } from "../words.js";

const REFRESH_MS = 5_000;
/** A moment that is longer ago is shown with its date. */
const DATED_MS = 12 * 3_600_000;

/** Returns, as text, whether rosters with names are written to Plone, by the state of their protection. */
const rosterText = ({ state, by }) => state === "readable" && by && by !== "visitor" ? t("plone.roster.readable_by", { by })
  : has(`plone.roster.${state}`) && t(`plone.roster.${state}`);

/** Returns whether Plone responds, as `{tone, text}`. */
export function ploneStatus({ ok, circuit }) {
  if (ok) return { tone: "good", text: t("plone.up") };
  if (circuit?.state === "closed") return { tone: "careful", text: t("plone.failed") };
  return { tone: "stop", text: circuit?.opened_at ? t("plone.down.since", { at: dateTime(circuit.opened_at) }) : t("health.plone_down") };
}

/** Returns a text about a moment, with the time of day, or with the date if it is long ago. */
export const pastText = (key, at) => Date.now() - at < DATED_MS ? t(key, { at: timeOfDay(at) }) : t(`${key}.on`, { at: dateTime(at) });

/** Returns a span of `s` seconds as text, in its largest whole unit. */
function ageText(s) {
  if (s < 60) return t("n.seconds", { n: Math.floor(s) });
  return s < 3600 ? t("n.minutes", { n: Math.floor(s / 60) }) : t("n.hours", { n: Math.floor(s / 3600) });
}

/** Returns, as text, how many sections must still be written to Plone. */
export function outboxText({ depth, oldest_age_s, in_flight }) {
  if (!depth) return t("plone.up_to_date");
  const age = oldest_age_s === null || oldest_age_s === undefined ? null : ageText(oldest_age_s);
  return `${[t("plone.waiting", { n: depth }), age && t("plone.waiting.oldest", { age }), in_flight > 0 && t("plone.waiting.now", { n: in_flight })].filter(Boolean).join(", ")}.`;
}

const problemText = (coded, english) => codedText("plone.problem", coded, english);

/** Returns, as text, when the announcements were read; empty if that is not known. */
const readText = ({ age_s }) => age_s === null ? "" : `, ${pastText("plone.as_of", Date.now() - age_s * 1000)}`;

export class PloneView {
  /** Whether the hub has responded, and the page knows if a Plone is configured. Without one, the view has no link. */
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
      plone.url && t("plone.address", { url: plone.url }),
      outbox && outboxText(outbox),
      roster && rosterText(roster),
      plone.leader === false && t("plone.elsewhere"),
      sync?.last_at && pastText("plone.pulled", Date.parse(sync.last_at)),
      sync?.error && richText("plone.pull.failed", { why: problemText(sync.reason ?? {}, sync.error) }),
      sync?.missing_fields?.length > 0 && t("plone.fields", { fields: joinList(sync.missing_fields) }),
      announcements && `${t("n.announcements", { n: announcements.count })}${readText(announcements)}.`,
      pool && `${[t("plone.pool", { used: pool.in_use, n: pool.size }), pool.waiting && t("plone.pool.waiting", { n: pool.waiting })].filter(Boolean).join(", ")}.`,
    ].filter(Boolean).map((line) => h("li", null, line)));
    this.#drawProblems(sync ?? {});
    this.#drawRejected(outbox);
  }

  /** Draws the items of Plone that a pull could not read. */
  #drawProblems({ problems = [], problems_total = 0 }) {
    put($("plone-problems"), problems.length > 0 && table(t("plone.unread", { n: problems_total }), [t("plone.item"), t("plone.reason")],
      problems.map(({ path, reason, ...coded }) => [path, problemText(coded, reason)])));
  }

  /** Draws the sections that Plone rejected, which the API calls `aside`. */
  #drawRejected(outbox) {
    const rejected = outbox?.aside ?? [];
    const key = JSON.stringify(rejected);
    if (key === this.#shownRejected) return;
    this.#shownRejected = key;
    const more = (outbox?.aside_total ?? 0) - rejected.length;
    put($("plone-rejected"), rejected.length > 0 && [
      h("h3", null, t("plone.rejected")),
      table(t("plone.rejected.hint"), [t("plone.section"), t("audit.since"), t("plone.reason"), ""],
        rejected.map(({ section, at, reason, ...coded }) => [section, dateTime(at), problemText(coded, reason), button(t("plone.resend"), () => this.#resend([section]))])),
      more > 0 && h("p", { class: "none" }, t("plone.more", { n: more })),
      button(t("plone.resend.all"), () => this.#resend()),
    ]);
  }

  /** Sends the given sections to Plone again, or all rejected ones. */
  #resend(sections) {
    return this.#perform(t("plone.resending"), async () => {
      const { resent } = await api.post("/api/v1/admin/plone/outbox/resend", sections ? { sections } : {});
      return t("plone.resent", { n: resent });
    });
  }

  #pull() {
    return this.#perform(t("plone.pulling"), async () => {
      const { requested, announcements } = await api.post("/api/v1/admin/plone/sync", {}, { ms: 0 });
      if (requested) return t("plone.pull.requested");
      return t("plone.pull.done", { at: timeOfDay(Date.now()), n: announcements });
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
