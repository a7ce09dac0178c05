// The cell with a section's seats: a text and a thin bar. It flashes briefly when the counts change.

import { h } from "./dom.js";
import { i18n } from "./i18n.js";
import { seatsTaken, seatStatus } from "./words.js";

const FLASH_MS = 500;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Draws `numbers` into `el`. Repeated calls reuse the elements in it. */
export function drawSeats(el, numbers, status) {
  const { text, tone } = seatStatus(numbers, status);
  const taken = seatsTaken(numbers);
  const key = `${numbers.id} ${numbers.enrolled} ${numbers.capacity} ${numbers.waitlisted} ${numbers.open} ${status} ${i18n.language} ${text} ${taken}`;
  if (el.seatKey === key) return;
  const same = el.seatKey?.split(" ")[0] === String(numbers.id);
  el.seatKey = key;
  if (!el.seatParts) {
    el.seatParts = { words: h("span"), fill: h("span", { class: "fill" }) };
    el.replaceChildren(el.seatParts.words, h("span", { class: "bar", "aria-hidden": "true" }, el.seatParts.fill));
  }
  const { words, fill } = el.seatParts;
  const full = numbers.capacity > 0 ? Math.min(1, numbers.enrolled / numbers.capacity) : 1;
  if (words.textContent !== text) words.textContent = text;
  words.className = `words ${tone}`;
  fill.className = `fill ${tone}`;
  fill.style.width = `${full * 100}%`;
  el.title = taken;
  if (same && !reducedMotion.matches) el.animate([{ backgroundColor: "var(--tint)" }, { backgroundColor: "transparent" }], FLASH_MS);
}
