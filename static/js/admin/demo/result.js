// The result of a finished demonstration in a sentence.

import { h } from "../../dom.js";
import { number, t } from "../../i18n.js";
import { richText } from "../../rich-text.js";
import { outcomes, TARGET_NAMES } from "./text.js";

/**
 * Returns the elements of the result: the sentence, and a warning if a target was measured with another number of
 * students.
 */
export function resultOfTask(task) {
  const sentences = outcomes(task).map(({ target, confirmed, stored, harm, isBad }) => h("span", null, richText("demo.result", {
    confirmed: h("strong", null, number(confirmed)), stored: h("strong", { class: isBad ? "stop" : "good" }, number(stored)),
  }, { target: TARGET_NAMES[target], harm, n: confirmed }), " "));
  const earlier = task.results.find(({ recorded, users }) => recorded && users !== task.users);
  return [h("p", { class: "result final" }, sentences.length ? sentences : t("demo.nothing")),
    earlier && h("p", { class: "careful", id: "demo-unequal" }, t("demo.unequal", { target: TARGET_NAMES[earlier.target], measured: earlier.users, n: task.users }))];
}
