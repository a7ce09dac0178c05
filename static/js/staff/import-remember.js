// Saving the mapping of an imported file's columns as a profile, and deleting it.

import { button, field, h, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { problemText } from "../words.js";
import { profileBody, profileName } from "./import-map.js";

const address = (name) => `/api/v1/import-profiles/${encodeURIComponent(name)}`;

/** Loads the profiles; an empty list if that fails, since the step works without them. */
export const loadProfiles = () => api.get("/api/v1/import-profiles").then(({ items }) => items, () => []);

/**
 * Returns the form that saves the mapping. `current()` returns `{state, options, profile, title}`: the checked file,
 * its options, its profile if it has one, and a title to suggest. `onsaved(name)` is awaited after a change, before it
 * is reported as done; `name` is null if the profile was deleted.
 */
export function rememberForm(current, onsaved) {
  const input = h("input", { name: "title", required: true, maxlength: "100", autocomplete: "off" });
  const status = h("p", { role: "status", tabindex: "-1" });
  const forget = h("span");
  const save = h("button", null, t("columns.remember.save"));
  const show = (text, tone = "") => { status.className = tone; put(status, text); };
  const run = async (work) => {
    save.disabled = true;
    try {
      await work();
    } catch (problem) {
      show(problemText(problem), "stop");
    }
    save.disabled = false;
  };
  const submit = () => run(async () => {
    show(t("columns.remember.pending"));
    const { state, options } = current();
    const title = input.value.trim();
    const name = profileName(title) || "mapping";
    const body = profileBody(state, options.map);
    await api.put(address(name), { title, ...body });
    await onsaved(name);
    show(t("columns.remember.done", { name: title }), "good");
  });
  const remove = ({ name, title }) => run(async () => {
    await api.delete(address(name));
    await onsaved(null);
    show(t("columns.forgotten", { name: title }), "careful");
    status.focus();
  });
  const el = h("form", { class: "remember", onsubmit: (event) => { event.preventDefault(); submit(); } },
    h("h4", null, t("columns.remember")), h("p", { class: "none" }, t("columns.remember.hint")),
    h("div", { class: "inline" }, field(t("columns.remember.name"), input), h("p", null, save, " ", forget)), status);
  /** Shows the profile of the file. */
  const draw = () => {
    const { profile, title } = current();
    if (!input.value) input.value = title;
    put(forget, profile && !profile.builtin
      && button(t("columns.forget", { name: profile.title }), () => remove(profile), { class: "quiet" }));
  };
  return { el, draw };
}
