// The holds on the student, each with its office, its reason and what it blocks.

import { $, h, put } from "../dom.js";
import { i18n, t } from "../i18n.js";
import { icon } from "../icons.js";

/** Returns the actions that a hold blocks, as text; empty if it blocks none. */
function blocked(blocks = []) {
  const [register, drop] = ["register", "drop"].map((action) => blocks.includes(action));
  if (register && drop) return t("hold.blocks.both");
  if (register) return t("hold.blocks.register");
  return drop ? t("hold.blocks.drop") : "";
}

let shown = "";

/** Draws the holds of the current term's `mine`. */
export function drawHolds(holds = []) {
  const key = JSON.stringify([holds, i18n.language]);
  if (key === shown) return;
  shown = key;
  $("holds").setAttribute("aria-label", t("hold.title"));
  put($("holds"), holds.map(({ office, text, url, blocks }) => h("li", { class: "with-icon careful" }, icon("warn"),
    h("span", null, h("strong", null, t("hold.from", { office })), " ", text, " ", blocked(blocks), " ",
      url && h("a", { href: url, target: "_blank", rel: "noopener noreferrer", "aria-label": t("hold.link.for", { office }) }, t("hold.link"))))));
}
