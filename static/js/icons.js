// Icons: strokes of one weight on a 24 by 24 grid, in the color of the surrounding text.

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  find: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.5 15.5 20 20",
  week: "M4 6.5h16v13H4zM4 10.5h16M8 4v4M16 4v4",
  bell: "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.5h4",
  check: "m5 12.5 4.5 4.5L19 7.5",
  close: "m6 6 12 12M18 6 6 18",
  warn: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17v.2",
  keep: "M7 4h10v16l-5-4-5 4z",
  down: "m6 9.5 6 6 6-6",
  filter: "M4 7h16M7 12h10M10 17h4",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM12 8v4.5l3 1.5",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM4.5 20c.8-3.6 3.8-5.5 7.5-5.5s6.700 1.900 7.500 5.500",
  print: "M7 9V4h10v5M7 17H4V9h16v8h-3M7 14h10v6H7z",
  swap: "M4 8h15l-4-4M20 16H5l4 4",
};

/** Returns an icon. It repeats the text beside it and is hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Adds the icon to each element with `data-icon`. */
export function drawIcons(root = document) {
  for (const el of root.querySelectorAll("[data-icon]")) el.prepend(icon(el.dataset.icon));
}
