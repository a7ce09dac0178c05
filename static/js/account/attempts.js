// The history of the student's requests to register and to drop, with the receipts.

import { $, button, put } from "../dom.js";
import { api } from "../api.js";
import { attemptItem } from "../attempt-text.js";
import { t } from "../i18n.js";
import { problemText } from "../words.js";

const PATH = "/api/v1/me/attempts";
const PAGE_SIZE = 20;

let requests = 0;

/** Shows the newest attempts, or hides the section from users who hold no seats. */
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
    $("attempts").append(...items.map((one) => attemptItem(one, one.section)));
    put($("attempts-status"), !$("attempts").children.length && t("attempts.none"),
      next && button(t("attempts.more"), () => load(next), { class: "quiet" }));
  } catch (problem) {
    if (request === requests && epoch === api.epoch) put($("attempts-status"), problemText(problem));
  }
}
