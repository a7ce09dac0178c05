// The history of the student's requests to register and to drop, with the receipts.

import { $, button, h, put } from "../dom.js";
import { api } from "../api.js";
import { has, t } from "../i18n.js";
import { dateTime, problemText } from "../words.js";

const PATH = "/api/v1/me/attempts";
const PAGE_SIZE = 20;

let requests = 0;

/** What the hub decided. A code without a text is shown as it is. */
function resultText({ action, result, repeated, position, by }) {
  const key = `attempts.${by === "promotion" ? "promoted" : action}.${result}`;
  const text = [key, `attempts.${result}`].find(has);
  const known = text ? t(text, { position }) : t("attempts.refused", { code: result });
  return repeated ? t("attempts.repeated", { result: known }) : known;
}

function line(one) {
  const receipt = t("attempts.receipt", { n: one.n, hash: one.hash });
  return h("li", null, h("div", null, h("strong", null, t("attempts.line", { section: one.section, result: resultText(one) })),
    h("small", null, dateTime(one.decided_at)), h("small", { class: "hash" }, receipt)));
}

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
    $("attempts").append(...items.map(line));
    put($("attempts-status"), !$("attempts").children.length && t("attempts.none"),
      next && button(t("attempts.more"), () => load(next), { class: "quiet" }));
  } catch (problem) {
    if (request === requests && epoch === api.epoch) put($("attempts-status"), problemText(problem));
  }
}
