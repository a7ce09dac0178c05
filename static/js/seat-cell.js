// The cell with a section's seats: words, a tone and a thin bar; it tints for a moment when its numbers change.

import { h } from "./dom.js";
import { now, t } from "./i18n.js";
import { seats as seatWords } from "./words.js";

const FLASH_MS = 500;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Draws `numbers` into `el`, which keeps its parts from one call to the next. */
export function drawSeats(el, numbers, status) {
  const key = `${numbers.id} ${numbers.enrolled} ${numbers.capacity} ${numbers.waitlisted} ${numbers.open} ${status} ${now.language}`;
  if (el.seatKey === key) return;
  const same = el.seatKey?.split(" ")[0] === String(numbers.id);
  el.seatKey = key;
  if (!el.seatParts) {
    el.seatParts = { words: h("span"), fill: h("span", { class: "fill" }) };
    el.replaceChildren(el.seatParts.words, h("span", { class: "bar", "aria-hidden": "true" }, el.seatParts.fill));
  }
  const { words, fill } = el.seatParts;
  const { text, tone } = seatWords(numbers, status);
  const full = numbers.capacity > 0 ? Math.min(1, numbers.enrolled / numbers.capacity) : 1;
  if (words.textContent !== text) words.textContent = text;
  words.className = `words ${tone}`;
  fill.className = `fill ${tone}`;
  fill.style.width = `${full * 100}%`;
  el.title = t("section.taken", { n: numbers.capacity, taken: numbers.enrolled });
  if (same && !still.matches) el.animate([{ backgroundColor: "var(--tint)" }, { backgroundColor: "transparent" }], FLASH_MS);
}
