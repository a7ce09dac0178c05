// The page that a link to the report of a demonstration opens. The fragment of its address is the id of the
// demonstration.

import { Drawing } from "./admin/demo/drawing.js";
import { resultOfTask } from "./admin/demo/result.js";
import { datedRunText } from "./admin/demo/text.js";
import { api } from "./api.js";
import { $, button, h, put } from "./dom.js";
import { i18n, LANGUAGE_NAMES, languages, rememberLanguage, setZone, t } from "./i18n.js";

function draw(task) {
  const drawing = new Drawing(task);
  put($("demo"), h("div", { id: "demo-result" }, resultOfTask(task)), h("p", null, datedRunText(task)), h("p", { class: "none gap" }, t("report.about")),
    h("p", { class: "screen-only gap" }, button(t("demo.print"), () => print(), { class: "plain" })), h("div", { id: "demo-charts" }, drawing.el));
  drawing.draw(task);
}

async function load() {
  const id = location.hash.slice(1);
  put($("demo"), h("p", { role: "status" }, t("report.loading")));
  try {
    draw(await api.get(`/api/v1/demo-reports/${encodeURIComponent(id)}`));
  } catch (problem) {
    put($("demo"), h("p", { role: "status", class: "stop" }, t(problem.status === 404 ? "report.none" : "report.failed")));
  }
}

/** Loads the college's time zone, in which times are shown; without a response, the browser's own is used. */
async function loadCollege() {
  try {
    const { college } = await api.get("/api/v1/terms");
    setZone(college.timezone);
    put($("college"), college.name);
  } catch (problem) {
    if (!problem.code) throw problem;
  }
}

const other = languages.find((one) => one !== i18n.language);
const change = () => {
  rememberLanguage(other);
  location.reload();
};
put($("language"), button(LANGUAGE_NAMES[other], change, { class: "quiet", lang: other }));
addEventListener("hashchange", load);
await loadCollege();
await load();
