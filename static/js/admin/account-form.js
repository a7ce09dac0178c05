// An account of the hub itself: its name, role and password; a new one, or one that is changed or removed.

import { button, field, h, put } from "../dom.js";
import { t } from "../i18n.js";

const ROLES = ["student", "staff", "admin"];

/**
 * The form. `user` is who is changed; none: a new one. `onsave(fields)` and `onremove()` are awaited, and what they
 * reject with is told here. `mine` is whether it is the reader's own account, which cannot be removed from here.
 */
export function accountForm({ user, mine, onsave, onremove, oncancel }) {
  const text = (name, props) => h("input", { name, autocomplete: "off", maxlength: name === "name" ? 200 : 120, ...props });
  const password = h("input", { name: "password", type: "password", autocomplete: "new-password", minlength: 8, maxlength: 200, required: !user });
  const role = h("select", { name: "role" }, ROLES.map((one) => h("option", { value: one, selected: one === (user?.role ?? "student") }, t(`role.${one}`))));
  const save = h("button", { class: "strong" }, user ? "Save" : "Add the account");
  const answer = h("p", { role: "status" });
  const keep = h("div", { class: "inline" });

  const working = async (before, work) => {
    answer.className = "";
    put(answer, before);
    save.disabled = true;
    try {
      await work();
    } catch (problem) {
      answer.className = "stop";
      put(answer, problem.message);
    }
    save.disabled = false;
  };

  const remove = () => put(keep,
    h("p", null, `Remove ${user.username}? They are signed out at once. Seats that they hold stay theirs.`),
    button(`Remove ${user.username}`, () => working("Removing…", onremove), { class: "danger" }),
    button("Keep", () => resting()));

  function resting() {
    put(keep, save, button("Cancel", oncancel, { class: "quiet" }), user && !mine && button("Remove the account", remove, { class: "danger" }));
  }

  const onsubmit = (event) => {
    event.preventDefault();
    const { elements } = event.currentTarget;
    const fields = { role: elements.role.value };
    if (elements.name.value.trim()) fields.name = elements.name.value.trim();
    if (elements.password.value) fields.password = elements.password.value;
    if (!user) fields.username = elements.username.value.trim();
    return working("Saving…", () => onsave(fields));
  };

  resting();
  return h("form", { class: "account", onsubmit, "aria-label": user ? `Account of ${user.username}` : "A new account" },
    h("div", { class: "inline" },
      !user && field("User name, to sign in with", text("username", { required: true, autocapitalize: "none", spellcheck: "false" })),
      field("Name", text("name", { value: user?.name ?? "" })),
      field("Role", role),
      field(user ? "New password, if it shall change" : "Password, 8 characters or more", password)),
    user && h("p", { class: "none" }, `A new password or another role signs ${mine ? "you out, here too" : "them out everywhere"}.`),
    keep, answer);
}
