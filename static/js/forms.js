// Reads the contents of a form, and fills them in again later.

/** Types of fields left out: files, which a page cannot fill in; passwords, which it must not store; and buttons. */
const LEFT_OUT = ["file", "password", "submit", "button", "reset"];

const isChoice = ({ type }) => ["checkbox", "radio"].includes(type);
const fields = (form) => [...form.elements].filter(({ name, type }) => name && !LEFT_OUT.includes(type));

/** Returns the contents of the named fields of a form, for `fillIn`. */
export const contentsOf = (form) => fields(form).map((el) => [el.name, isChoice(el) ? el.value : null, isChoice(el) ? el.checked : el.value]);

/** Fills in contents that `contentsOf` has returned. Each changed field gets the event `input`. */
export function fillIn(form, contents) {
  for (const [name, option, value] of contents) {
    for (const el of fields(form)) {
      if (el.name !== name || (isChoice(el) && el.value !== option)) continue;
      const property = isChoice(el) ? "checked" : "value";
      if (el[property] === value) continue;
      el[property] = value;
      el.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
}
