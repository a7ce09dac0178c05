// The form for a local account: add, edit, or remove it.

import { button, field, h, markInvalid, put } from "../dom.js";
import { t } from "../i18n.js";

/** The id of the form that adds an account. */
export const ADD_FORM = "account-add";
const ROLES = ["student", "instructor", "staff", "admin"];

/**
 * Returns the form. Without `user` it adds an account. `isSelf`: the account is the reader's own, which cannot be
 * removed here. `onsave(fields)` and `onremove()` return promises; the form shows the message of a rejection.
 */
export function accountForm({ user, isSelf, onsave, onremove, oncancel }) {
  const text = (name, props) => h("input", { name, autocomplete: "off", maxlength: name === "name" ? 200 : 120, ...props });
  const password = h("input", { name: "password", type: "password", autocomplete: "new-password", minlength: 12, maxlength: 1024, required: !user });
  const role = h("select", { name: "role" },
    ROLES.map((one) => h("option", { value: one, selected: one === (user?.role ?? "student") }, t(`role.${one}`))));
  const subjects = text("subjects", { value: (user?.subjects ?? []).join(", "), maxlength: 1000 });
  const limit = field(t("account.subjects"), subjects);
  const showLimit = () => { limit.hidden = role.value !== "staff"; };
  role.addEventListener("input", showLimit);
  showLimit();
  const save = h("button", { class: "strong" }, t(user ? "save" : "account.add"));
  const status = h("p", { role: "status" });
  const actions = h("div", { class: "inline" });

  const perform = async (progressText, action) => {
    status.className = "";
    put(status, progressText);
    save.disabled = true;
    try {
      await action();
    } catch (problem) {
      status.className = "stop";
      put(status, problem.message);
      const wrong = form.elements[problem.field?.replace(/[.[].*/, "")];
      if (wrong) markInvalid(wrong, status);
    }
    save.disabled = false;
  };

  const showActions = () => put(actions, save, button(t("account.cancel"), oncancel, { class: "quiet" }),
    user && !isSelf && button(t("account.remove"), confirmRemoval, { class: "danger" }));

  const confirmRemoval = () => put(actions,
    h("p", null, t("account.remove.ask", { user: user.username })),
    button(t("account.remove.yes", { user: user.username }), () => perform(t("account.removing"), onremove), { class: "danger" }),
    button(t("account.keep"), showActions));

  const onsubmit = (event) => {
    event.preventDefault();
    const { elements } = event.currentTarget;
    const fields = { role: elements.role.value };
    if (fields.role === "staff") fields.subjects = elements.subjects.value.split(",").map((one) => one.trim()).filter(Boolean);
    if (elements.name.value.trim()) fields.name = elements.name.value.trim();
    if (elements.password.value) fields.password = elements.password.value;
    if (!user) fields.username = elements.username.value.trim();
    return perform(t("save.pending"), () => onsave(fields));
  };

  showActions();
  const form = h("form", { id: user ? null : ADD_FORM, "data-kept": !user, class: "account", onsubmit, "aria-label": user ? t("account.of", { user: user.username }) : t("account.new") },
    h("div", { class: "inline" },
      !user && field(t("sign.name"), text("username", { required: true, autocapitalize: "none", spellcheck: "false" })),
      field(t("account.name"), text("name", { value: user?.name ?? "" })),
      field(t("sessions.role"), role),
      limit,
      field(t(user ? "account.password.new" : "account.password"), password)),
    user && h("p", { class: "none" }, t(isSelf ? "account.signs_out.self" : "account.signs_out")),
    actions, status);
  return form;
}
