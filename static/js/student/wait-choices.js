// What a student can choose with a waitlist position: a section to get together with it, other sections of the same
// class that would do as well, and a section to drop when the student gets the seat.

import { button, h, markInvalid, put } from "../dom.js";
import { t } from "../i18n.js";
import { joinList, meetingTexts } from "../words.js";
import { findConflict } from "./conflicts.js";

/** The maximum number of sections of each kind that the hub accepts. */
const CHOICES_MAX = 8;

/**
 * Returns the sections that can be chosen with a position on the waitlist of a section. The lists are empty until the
 * whole term has loaded, because other sections of the class may be missing before that.
 */
export function waitOptions({ catalogue, numbers, registrations }, id) {
  const section = catalogue.get(id);
  if (!section || catalogue.state !== "ready") return { with: [], any_of: [], drop: [] };
  const isNew = (other) => catalogue.get(other) && !registrations.get(other);
  const term = id.slice(0, id.lastIndexOf("-"));
  const enrolled = registrations.inTerm(term).filter(({ status }) => status === "enrolled").map((one) => catalogue.get(one.section));
  return {
    with: (section.linked ?? []).filter(isNew).slice(0, CHOICES_MAX),
    any_of: catalogue.sameClass(id).filter((other) => isNew(other) && numbers(other).waitlist_capacity > 0).slice(0, CHOICES_MAX),
    drop: findConflict(section, enrolled)?.with ?? [],
  };
}

/** Returns whether there is anything to choose. */
export const hasWaitOptions = (page, id) => Object.values(waitOptions(page, id)).some((list) => list.length > 0);

/** Returns the form with which the student joins a waitlist with choices. `view` is where it is. */
export function waitForm(page, id, view) {
  const { catalogue, registrations } = page;
  const options = waitOptions(page, id);
  const boxes = { with: [], any_of: [], drop: [] };
  const chosen = (kind) => boxes[kind].filter((box) => box.checked).map((box) => box.value);
  // A section together with this one, and another section instead of it, exclude each other.
  const changed = () => {
    for (const [kind, other] of [["with", "any_of"], ["any_of", "with"]]) {
      for (const box of boxes[kind]) box.disabled = chosen(other).length > 0;
    }
  };
  const label = (other) => [catalogue.name(other), meetingTexts(catalogue.get(other), false)[0]].filter(Boolean).join(", ");
  const group = (kind, ids, type = "checkbox") => ids.length > 0 && h("fieldset", null, h("legend", null, t(`wait.${kind}`)),
    ids.map((other) => {
      const box = h("input", { type, name: `wait-${kind}-${id}`, value: other, onchange: changed });
      boxes[kind].push(box);
      return h("label", { class: "check" }, box, h("span", null, label(other)));
    }));
  const missing = h("p", { class: "stop", role: "status" });
  const join = () => {
    // Without this choice, the hub would refuse again for the same reason.
    if (options.drop.length && !chosen("drop").length) {
      put(missing, t("wait.drop.missing"));
      markInvalid(boxes.drop[0], missing);
      return boxes.drop[0].focus();
    }
    registrations.wait(id, { with: chosen("with"), any_of: chosen("any_of"), drop: chosen("drop")[0] }, view);
  };
  return h("div", { class: "wait-choices" }, group("with", options.with), group("any_of", options.any_of),
    // One section can be dropped. Where several are in the way, the student drops the others.
    group("drop", options.drop, options.drop.length > 1 ? "radio" : "checkbox"), missing,
    button(t("wait.join"), join, { "aria-label": t("action.for", { verb: t("wait.join"), section: catalogue.name(id) }) }));
}

/** Returns why the student has this waitlist position, if the term declares a priority, as texts. */
export function orderTexts(registration, term) {
  const groups = term.waitlist_priority ?? [];
  if (registration?.status !== "waitlisted" || !groups.length) return [];
  const own = term.mine?.priority_group;
  return [t("wait.order", { groups: joinList(groups) }), own && t("wait.order.own", { group: own })].filter(Boolean);
}

/** Returns the choices of a waitlist position, or of an offer, as texts. */
export function waitTexts({ with: together = [], any_of: others = [], drop } = {}, nameOf) {
  const names = (ids) => joinList(ids.map(nameOf));
  return [together.length > 0 && t("wait.shown.with", { sections: names(together) }),
    others.length > 0 && t("wait.shown.any_of", { sections: names(others) }),
    drop && t("wait.shown.drop", { section: nameOf(drop) })].filter(Boolean);
}
