// Links with which a parent or guardian reads the student's schedule. The student creates and removes them.

import { $, button, field, h, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { dateTime, problemText } from "../words.js";

const PATH = "/api/v1/me/guardian-links";

/**
 * Shows the links and, to students, the form for a new one. Other users see the section only if they have links. `made`
 * is the link that was just created.
 */
export async function showGuardianLinks(isStudent, made = null) {
  const status = h("p", { role: "status" });
  const say = (tone, text) => { status.className = tone; put(status, text); };
  const { epoch } = api;
  $("shared").hidden = !isStudent;
  let items;
  try {
    ({ items } = await api.get(PATH));
  } catch (problem) {
    return put($("guardian"), h("p", { class: "stop", role: "status" }, problemText(problem)));
  }
  if (epoch !== api.epoch) return;
  $("shared").hidden = !isStudent && !items.length;
  const end = async (link, pressed) => {
    pressed.disabled = true;
    try {
      await api.delete(`${PATH}/${link.id}`);
    } catch (problem) {
      if (problem.status !== 404) {
        pressed.disabled = false;
        return say("stop", problemText(problem));
      }
    }
    showGuardianLinks(isStudent);
  };
  const label = h("input", { name: "label", required: true, maxlength: 60, autocomplete: "off" });
  const days = h("input", { name: "days", type: "number", min: 1, max: 366, value: 120, required: true });
  const onsubmit = async (event) => {
    event.preventDefault();
    try {
      const link = await api.post(PATH, { label: label.value.trim(), days: Number(days.value) });
      showGuardianLinks(isStudent, link);
    } catch (problem) {
      say("stop", problemText(problem));
    }
  };
  const item = (link) => {
    const ending = button(t("guardian.end"), () => end(link, ending), { class: "quiet", "aria-label": t("guardian.end.for", { label: link.label }) });
    return h("li", null, h("div", null, h("strong", null, link.label), h("small", null, t("guardian.until", { end: dateTime(link.expires_at) }))), ending);
  };
  put($("guardian"),
    h("p", { class: "none" }, t("guardian.about")),
    h("ul", { class: "lines", role: "list" }, items.map(item)),
    made && h("div", { role: "status" }, h("p", { class: "good" }, t("guardian.made", { label: made.label })), h("p", null, h("code", null, made.url))),
    isStudent && h("form", { onsubmit }, field(t("guardian.label"), label), field(t("guardian.days"), days), h("button", null, t("guardian.make"))),
    status);
}
