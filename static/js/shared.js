// The page that a link for a parent or guardian opens: one student's schedule. Its secret is in the fragment of the
// address, which browsers send to no server.

import { $, button, h, put, table } from "./dom.js";
import { i18n, LANGUAGE_NAMES, languages, onLanguage, setLanguage, setZone, t } from "./i18n.js";
import { dateTime, meetingTexts } from "./words.js";

/** The schedule that the hub returned, or the status of an error (0 without a response); null before that. */
let found = null;

function draw() {
  const other = languages.find((one) => one !== i18n.language);
  put($("language"), other && button(LANGUAGE_NAMES[other], () => setLanguage(other, { remember: true }), { class: "quiet", lang: other }));
  if (found === null) return put($("status"), t("shared.loading"));
  if (typeof found === "number") return put($("status"), t(found === 401 ? "shared.ended" : "shared.failed"));
  const { label, expires_at, items } = found;
  put($("status"), t("shared.for", { label, end: dateTime(expires_at) }));
  const terms = new Map(items.map(({ term, term_title }) => [term, term_title]));
  const state = ({ status, section_status }) => t(section_status === "cancelled" ? "shared.cancelled" : `shared.${status}`);
  const row = (one) => [one.course, one.title, meetingTexts(one, true).join("; "), state(one)];
  put($("schedule"), !items.length && h("p", { class: "none" }, t("shared.none")),
    [...terms].map(([id, title]) => table(title, ["shared.course", "shared.name", "shared.times", "shared.state"].map((key) => t(key)),
      items.filter(({ term }) => term === id).map(row))));
}

async function load() {
  try {
    const response = await fetch("/api/v1/shared-schedule", { headers: { Authorization: `Guardian ${location.hash.slice(1)}` } });
    found = response.ok ? await response.json() : response.status;
  } catch {
    found = 0;
  }
  draw();
}

onLanguage(draw);
addEventListener("hashchange", load);
draw();
load();
fetch("/api/v1/terms").then((response) => response.json()).then(({ college }) => {
  $("college").textContent = college.name;
  setZone(college.timezone);
  draw();
}, () => { /* Without the response, times are in the browser's own zone. */ });
