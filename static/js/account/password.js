// The form that changes the user's own password.

import { $, field, h, markInvalid, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { problemText } from "../words.js";

function refusal(problem) {
  if (problem.reason) return t(`weak.${problem.reason}`);
  if (problem.field === "current") return t("password.wrong");
  if (problem.field === "new") return t("password.same");
  return problemText(problem);
}

/** Shows the form. `onchange()` is called after a change, which ends the user's other sign-ins. */
export function showPassword(onchange) {
  const input = (name, autocomplete) => h("input", { name, type: "password", autocomplete, required: true });
  const [current, fresh, again] = [input("current", "current-password"), input("new", "new-password"), input("again", "new-password")];
  const status = h("p", { role: "status" });
  const submit = h("button", { class: "strong" }, t("password.change"));
  const say = (tone, text) => { status.className = tone; put(status, text); };
  const onsubmit = async (event) => {
    event.preventDefault();
    if (fresh.value !== again.value) {
      say("stop", t("password.differ"));
      markInvalid(again, status);
      return again.select();
    }
    submit.disabled = true;
    say("", t("password.pending"));
    try {
      await api.post("/api/v1/me/password", { current: current.value, new: fresh.value });
      form.reset();
      say("good", t("password.done"));
      onchange();
    } catch (problem) {
      say("stop", refusal(problem));
      const wrong = problem.field === "current" ? current : fresh;
      if (problem.field || problem.reason) markInvalid(wrong, status);
      wrong.select();
    }
    submit.disabled = false;
  };
  const form = h("form", { onsubmit }, field(t("password.current"), current), field(t("password.new"), fresh, t("password.rule")),
    field(t("password.again"), again), submit, status);
  put($("password"), form);
}
