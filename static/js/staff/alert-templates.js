// Texts to start an alert from. Parts in [brackets] are filled in before the alert is sent.

import { t } from "../i18n.js";

/**
 * The properties of each template's alert; `lasts` in hours, "" until it is withdrawn. The texts are in the word
 * tables.
 */
const TEMPLATES = {
  room: { priority: "high", category: "schedule", lasts: "24" },
  class: { priority: "high", category: "schedule", lasts: "24" },
  delay: { priority: "high", category: "workflow", lasts: "4" },
  maintenance: { priority: "medium", category: "system", lasts: "24" },
  closed: { priority: "critical", category: "emergency", lasts: "24" },
  shelter: { priority: "critical", category: "emergency", lasts: "" },
  all_clear: { priority: "high", category: "security", lasts: "24" },
};

/** Returns the parts of a text that must be filled in. */
const blanksOf = (text) => text.match(/\[[^\]]+\]/g) ?? [];

/** Returns the texts and properties of a template. `title` is that of the alert that an all-clear ends. */
export function fromTemplate(name, { title = "" } = {}) {
  return { ...TEMPLATES[name], title: t(`template.${name}.title`, { title }), message: t(`template.${name}.message`) };
}

/** Returns the parts of a template that are still in the texts of an alert. */
export const blanksLeft = (name, { title, message }) =>
  name ? blanksOf(fromTemplate(name).title + fromTemplate(name).message).filter((blank) => title.includes(blank) || message.includes(blank)) : [];
