// The history of the student's attempts, with the receipts.

import { $, button, put } from "../dom.js";
import { api } from "../api.js";
import { attemptItem } from "../attempt-text.js";
import { t } from "../i18n.js";
import { problemText, sectionName } from "../words.js";

const PATH = "/api/v1/me/attempts";
const PAGE_SIZE = 20;

let requests = 0;
/** The names of sections, by id, as promises. */
const names = new Map();

/** Returns the name of a section; its id if it cannot be read, for example because the section never existed. */
function nameOf(id) {
  if (!names.has(id)) names.set(id, api.get(`/api/v1/sections/${encodeURIComponent(id)}`).then((section) => sectionName(section), () => id));
  return names.get(id);
}

/** Shows the newest attempts, or hides the history from users who are not students. */
export async function showAttempts(isStudent) {
  $("history").hidden = !isStudent;
  put($("attempts"));
  put($("attempts-status"));
  if (isStudent) await load();
}

async function load(cursor) {
  const request = ++requests;
  const { epoch } = api;
  try {
    const { items, next } = await api.get(`${PATH}?limit=${PAGE_SIZE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    if (request !== requests || epoch !== api.epoch) return;
    const named = await Promise.all(items.map(async (one) => attemptItem(one, await nameOf(one.section))));
    if (request !== requests || epoch !== api.epoch) return;
    $("attempts").append(...named);
    put($("attempts-status"), !$("attempts").children.length && t("attempts.none"),
      next && button(t("attempts.more"), () => load(next), { class: "quiet" }));
  } catch (problem) {
    if (request === requests && epoch === api.epoch) put($("attempts-status"), problemText(problem));
  }
}
