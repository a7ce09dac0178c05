// Prerequisites as the API returns them are shown in words, in each language.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, row, rows, until } from "./support.mjs";

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  await hub.term("before", ["1,MATH 151,Calculus I,A01,lecture,5,2,3,MWF,09:00-09:50,Lee", "2,PHYS 201,Mechanics,A01,lecture,4,1,3,TR,09:30-10:20,Curie"]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** A course with a minimum grade, and one of two courses. */
const EXPRESSION = {
  text: "MATH 141 w/ C, PHYS 101 or PHYS 111*",
  all: [{ course: "MATH 141", grade: "C" }, { any: [{ course: "PHYS 101" }, { course: "PHYS 111", concurrent: true }] }],
};

/** Opens the details of a section whose prerequisites are `prerequisites`. */
const openDetails = async (prerequisites, how) => {
  const page = await open(chrome, hub, "/docs/problems", how);
  await page.route("**/api/v1/sections?*", async (route) => {
    const body = await (await route.fetch()).json();
    const items = body.items.map((one) => one.crn === "2" ? { ...one, prerequisites } : one);
    await route.fulfill({ json: { ...body, items } });
  });
  await page.goto(`${hub.url}/?term=before`);
  await rows(2)(page);
  await row(page, "Mechanics").locator(".name").click();
  return page;
};
const shown = (page, label, expected) => until(page, ([label, expected]) =>
  [...document.querySelectorAll(".details dl > div")].some((one) => one.firstChild.textContent === label && one.lastChild.textContent === expected), [label, expected]);

test("an expression is shown in English and in Spanish", async () => {
  const page = await openDetails(EXPRESSION);
  await shown(page, "Prerequisites", "MATH 141 (grade of C or better) and (PHYS 101 or PHYS 111 (may be taken concurrently))");
  await page.getByRole("button", { name: "Español" }).click();
  await shown(page, "Prerrequisitos", "MATH 141 (calificación mínima: C) y (PHYS 101 o PHYS 111 (puede tomarse al mismo tiempo))");
  assert.deepEqual(page.wrong, []);
});

test("a section without prerequisites has no such line", async () => {
  for (const none of [null, []]) {
    const page = await openDetails(none);
    await shown(page, "CRN", "2");
    assert.doesNotMatch(await page.textContent(".details"), /Prerequisites/);
  }
});

test("courses, groups and plain texts are shown", async () => {
  const page = await open(chrome, hub, "/", {});
  const texts = await page.evaluate(async () => {
    const { prerequisiteText } = await import("/static/js/words.js");
    const courses = (...names) => names.map((course) => ({ course }));
    return [
      prerequisiteText({ text: "MATH 100", all: courses("MATH 100") }),
      prerequisiteText({ text: "", any: courses("A 1", "B 2", "C 3") }),
      prerequisiteText({ text: "Permission of the department" }),
      prerequisiteText({ text: "", all: [{ any: courses("A 1", "B 2") }] }),
      prerequisiteText({ text: "", any: [{ all: courses("A 1", "B 2") }, ...courses("C 3")] }),
      prerequisiteText(["MATH 100", "MATH 101"]),
    ];
  });
  assert.deepEqual(texts, ["MATH 100", "A 1, B 2, or C 3", "Permission of the department", "A 1 or B 2", "(A 1 and B 2) or C 3", "MATH 100 and MATH 101"]);
});

test("a refusal names what is missing", async () => {
  const page = await open(chrome, hub, "/", {});
  const texts = await page.evaluate(async (expression) => {
    const { refusal } = await import("/static/js/student/outcomes.js");
    const { addTexts } = await import("/static/js/i18n.js");
    await addTexts("student");
    return [expression, [{ course: "MATH 141", grade: "C" }], ["MATH 141"], [], undefined].map((unmet) => refusal({ code: "prerequisite", unmet }).text);
  }, EXPRESSION);
  assert.deepEqual(texts, ["Prerequisite: MATH 141 (grade of C or better) and (PHYS 101 or PHYS 111 (may be taken concurrently)).",
    "Prerequisite: MATH 141 (grade of C or better).", "Prerequisite: MATH 141.", "You haven't met a prerequisite.", "You haven't met a prerequisite."]);
});
