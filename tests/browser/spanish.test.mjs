// The pages of staff, administrators and instructors in Spanish: no English text is left, nothing is cut, and they are
// accessible.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { browser, csvFile, Hub, open, until, violations } from "./support.mjs";

const STATIC = new URL("../../static/", import.meta.url);
const WORDS = new URL("js/words/", STATIC);
const folders = readdirSync(WORDS, { recursive: true }).filter((name) => name.endsWith("en.js")).map((name) => name.slice(0, -"en.js".length));
const tables = await Promise.all(["en", "es"].map(async (language) => {
  const all = await Promise.all(folders.map((folder) => import(new URL(`${folder}${language}.js`, WORDS))));
  return all.flatMap(({ default: texts }) => Object.values(texts)).flatMap((text) => typeof text === "string" ? text : Object.values(text));
}));
/** Returns the source of a regular expression for a part of a text. A placeholder matches any text, `{n}` a number. */
const source = (part) => part === "{n}" ? "[\\d.,]+" : /^\{\w+\}$/.test(part) ? ".+" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
/** The texts of each language as the sources of regular expressions; see `source`. */
const [english, spanish] = tables.map((texts) => [...new Set(texts.map((text) => text.trim()))]
  .filter((text) => /\p{L}{3}/u.test(text.replace(/\{\w+\}/g, "")))
  .map((text) => `^${text.split(/(\{\w+\})/).map(source).join("")}$`));
const onlyEnglish = english.filter((one) => !spanish.includes(one));

let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
  hub.mint("curie", "instructor");
  for (const student of ["ana", "luis"]) hub.mint(student, "student");
  await hub.term("otono", ["1,MATH 151,Cálculo I,A01,lecture,2,2,3,MWF,09:00-09:50,Pérez", "2,PHYS 101,Física,A01,lecture,1,1,3,TR,09:30-10:20,curie", "3,HIST 110,Historia,A01,seminar,4,1,3,,,"], { title: "Otoño de 2031" });
  for (const user of ["ana", "luis"]) await hub.ask(user, "PUT", "/api/v1/me/registrations/otono-1");
  await hub.ask("ana", "PUT", "/api/v1/me/registrations/otono-2");
  await hub.ask("luis", "PUT", "/api/v1/me/registrations/otono-2?waitlist=true");
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Simulacro", message: "Salgan con calma.", priority: "critical", audience: { roles: ["student"], sections: ["otono-1"] } });
  await hub.ask("staff", "POST", "/api/v1/alerts", { title: "Mañana", message: "Cierre temprano.", audience: { all: true }, starts_at: new Date(Date.now() + 86_400_000).toISOString() });
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Returns the English texts that a page shows or says, outside of `lang="en"`: texts, attributes, and their parts. */
const leftInEnglish = (page) => page.evaluate(([english, spanish]) => {
  const [isEnglish, isSpanish] = [english, spanish].map((sources) => {
    const all = sources.map((source) => new RegExp(source, "s"));
    return (text) => all.some((one) => one.test(text));
  });
  const found = new Set();
  const check = (text, where) => {
    const parts = [text, ...text.split(/, |: |; |(?<=[.?]) /)].map((one) => one.trim()).filter((one) => /\p{L}{2}/u.test(one) && !/^\w+_\w+$/.test(one));
    for (const part of parts) if (isEnglish(part) && !isSpanish(part)) found.add(`${part} (${where})`);
  };
  // Usernames of the demonstration are names of roles, and people may write an alert in any language.
  const isUsername = (text) => ["admin", "instructor", "staff", "student"].includes(text);
  const isUser = (el, text) => el.matches(".alert > h3, .alert > p") || el.matches("strong, small, span[title]") && isUsername(text);
  const own = (el) => el.closest("[lang]")?.lang === "es";
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { parentElement: el, data } = texts.currentNode;
    if (own(el) && !isUser(el, data) && !el.closest("script, noscript") && (el.checkVisibility() || el.closest("option, datalist, details"))) check(data, el.tagName);
  }
  for (const el of document.querySelectorAll("*")) {
    if (own(el)) for (const name of ["aria-label", "aria-valuetext", "title", "placeholder", "data-head", "label"]) if (el.getAttribute(name) && !(name === "title" && isUsername(el.title))) check(el.getAttribute(name), `${el.tagName} ${name}`);
  }
  check(document.title, "title");
  return [...found];
}, [onlyEnglish, spanish]);

/** Returns elements that are wider than the page, or cut off, unless they scroll or end in an ellipsis. */
const cut = (page) => page.evaluate(() => {
  const all = [...document.body.querySelectorAll("*")].filter((el) => !el.closest(".scroll, #views, .unseen, svg, .squares, noscript") && el.checkVisibility());
  const wide = all.filter((el) => el.getBoundingClientRect().right > innerWidth + 1);
  const clipped = all.filter((el) => {
    const { overflowX, textOverflow, clipPath } = getComputedStyle(el);
    return ["hidden", "clip"].includes(overflowX) && textOverflow !== "ellipsis" && clipPath === "none" && el.scrollWidth > el.clientWidth + 1;
  });
  // A control whose text is wider than itself.
  const full = all.filter((el) => el.matches("button, a.button, th, label > span") && el.scrollWidth > el.clientWidth + 1 && getComputedStyle(el).clipPath === "none" && getComputedStyle(el).display !== "inline");
  return [...wide, ...clipped, ...full].slice(0, 5).map((el) => el.outerHTML.slice(0, 140));
});

/** Asserts that the page is in Spanish and accessible, and that nothing is cut off. */
async function checkState(page, state) {
  assert.equal(await page.getAttribute("html", "lang"), "es");
  assert.deepEqual(await leftInEnglish(page), [], `English on ${state}`);
  assert.deepEqual(await cut(page), [], `cut on ${state}`);
  assert.deepEqual(await violations(page), [], `axe on ${state}`);
  assert.deepEqual(page.wrong, []);
}

const WIDTHS = [390, 1280];
const view = async (page, name) => {
  await page.evaluate((name) => { location.hash = name; }, name);
  await until(page, (name) => document.body.dataset.view === name, name);
};
const shows = (page, pattern) => until(page, (source) => new RegExp(source, "s").test(document.body.innerText), pattern);
const show = (where, user, width) => open(chrome, hub, where, { user, width, height: 844, locale: "es-MX", bypassCSP: true });

test("the search for English texts finds planted ones", async () => {
  const page = await show("/staff#now", "staff", 1280);
  await shows(page, "Mapa de cupos");
  await page.evaluate(() => {
    document.querySelector(".legend span").textContent = "Seat map";
    document.querySelector("#map-detail").textContent = "MATH 151: Full, 3 waiting.";
    document.querySelector("#no-access").setAttribute("title", "Reaches 3 people.");
  });
  const found = await leftInEnglish(page);
  for (const text of ["Seat map (", "Full (", "Reaches 3 people. ("]) assert.ok(found.some((one) => one.startsWith(text)), `${text}: ${found}`);
});

for (const width of WIDTHS) {
  test(`the staff page is in Spanish at ${width} px`, async () => {
    const page = await show("/staff#now", "staff", width);
    await page.waitForSelector("#which-term option", { state: "attached" });
    await page.selectOption("#which-term", "otono");
    await until(page, () => document.querySelectorAll("#map i").length === 3 && document.querySelector("#live").dataset.state === "live");
    await shows(page, "Más solicitadas.*inscrito");
    await page.focus("#map i[tabindex='0']");
    await checkState(page, "Now");

    await view(page, "sections");
    await until(page, () => document.querySelectorAll(".srow").length === 3);
    await page.locator(".srow .name", { hasText: "PHYS 101" }).click();
    await shows(page, "Inscritos: 1.*En espera: 1");
    await page.locator(".srow", { hasText: "MATH 151" }).locator("[name=capacity]").fill("1");
    await page.keyboard.press("Enter");
    await shows(page, "Todos conservan su cupo");
    await checkState(page, "Sections");

    await view(page, "alerts");
    await page.locator("#sent-list article", { hasText: "Simulacro" }).locator("details summary").click();
    await page.fill("#alert-form [name=title]", "Cierre");
    await page.fill("#alert-form [name=message]", "Cerramos a las 3.");
    await page.selectOption("#alert-form [name=priority]", "critical");
    await page.selectOption("#alert-form [name=lasts]", "4");
    await shows(page, "Sin confirmar \\(\\d");
    await page.click("#send-button");
    await until(page, () => document.querySelector("#confirm-send .danger")?.disabled === false);
    await checkState(page, "Alerts");

    await view(page, "terms");
    await page.locator(".term-card", { hasText: "Otoño" }).getByRole("button", { name: "Cerrar ahora" }).click();
    await shows(page, "La inscripción de Otoño de 2031 se cierra ahora");
    await checkState(page, "Terms");
  });

  test(`an import is in Spanish at ${width} px`, async () => {
    const page = await show("/staff#import", "staff", width);
    await page.waitForSelector("#which-term option", { state: "attached" });
    await page.selectOption("#which-term", "otono");
    await checkState(page, "the first step");
    const check = async (text) => {
      await page.setInputFiles("#import-form [name=file]", csvFile(text));
      await page.locator("#import-form .primary").click();
    };
    await check(`Semestre,Nr,Kurs\notono,1,MATH 151\n`);
    await shows(page, "Faltan las columnas");
    await checkState(page, "Columns");
    await page.getByRole("button", { name: "Empezar de nuevo" }).click();
    await check("term,crn,course,title,capacity,days,time,room,instructor\notono,1,MATH 151,Cálculo I,3,MWF,09:00-09:50,B1,Pérez\notono,9,CHEM 101,Química,5,MWF,09:00-09:50,B1,Gómez\notono,8,CHEM 102,Química,x,MWF,09:00-09:50,B1,Pérez\n");
    await shows(page, "no se puede importar.*Cupo: debe ser un número entero");
    await checkState(page, "a rejected file");
    await page.getByRole("button", { name: /Omitir 1 línea/ }).click();
    await shows(page, "Aún no se ha cambiado nada");
    await page.evaluate(() => { for (const el of document.querySelectorAll("#task details")) el.open = true; });
    await shows(page, "el límite de créditos.*MATH 151 .* y CHEM 101 .* están en B1 a la vez: lun, mié, vie 9:00.9:50 a\\.m\\.");
    assert.equal(await page.locator("#task [lang=en]").count(), 0);
    await checkState(page, "a checked file");
  });

  test(`the administration page is in Spanish at ${width} px`, async () => {
    const page = await show("/admin#now", "admin", width);
    await page.route("**/api/v1/admin/plone", (route) => route.fulfill({ json: {
      configured: true, ok: false, url: "http://plone.example", circuit: { state: "open", opened_at: new Date().toISOString(), failures: 3 },
      pool: { size: 8, in_use: 2, waiting: 1 }, sync: { last_at: new Date().toISOString(), error: "The college website (Plone) did not respond.", reason: { code: "did_not_respond" }, missing_fields: ["credits"], problems: [{ path: "/courses/a", reason: "crn: the field is empty", code: "field", args: { field: "crn", problem: { code: "empty" } } }], problems_total: 1 },
      outbox: { depth: 3, oldest_age_s: 90, in_flight: 1, aside: [{ section: "otono-1", at: new Date().toISOString(), reason: "Plone denied permission", code: "forbidden" }], aside_total: 2 },
      roster: { state: "readable", by: "visitor" }, announcements: { count: 2, age_s: 40 },
    } }));
    await shows(page, "Todo funciona con normalidad.*estudiantes");
    await page.locator("#all-metrics summary").click();
    await shows(page, "Etiquetas");
    await checkState(page, "Now");
    for (const [name, text] of [["sessions", "conexi(ón|ones):"], ["plone", "Rechazadas por Plone"], ["audit", "entradas?\\."]]) {
      await view(page, name);
      await shows(page, text);
      await checkState(page, name);
      assert.equal(await page.locator(`[data-view-name=${name}] [lang=en]`).count(), 0, `English texts of the hub on ${name}`);
    }
    await fetch(`${hub.url}/api/v1/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ username: "student", password: "wrong password" }) });
    await view(page, "plone");
    await shows(page, "^(?=.*La última actualización falló: Plone no respondió\\.)(?=.*crn: el campo está vacío).*Plone denegó el permiso");
    await view(page, "audit");
    await page.fill("#audit-filter [name=action]", "login.failed");
    await page.locator("#audit-filter button").first().click();
    await shows(page, "nombre de usuario o contraseña incorrectos");
    await view(page, "people");
    await shows(page, "personas\\.");
    await page.getByRole("button", { name: "Agregar cuenta" }).click();
    await page.locator("form.account [name=username]").fill("ana");
    await page.locator("form.account [name=password]").fill("password1234");
    await page.locator("form.account .strong").click();
    await shows(page, "fácil de adivinar");
    await page.locator("tr:not(.expanded) button[aria-label^='Borrar datos de']").first().click();
    await shows(page, "¿Borrar los datos de");
    await checkState(page, "people");
    await view(page, "demo");
    await shows(page, "Todos se inscriben a la vez|cupos confirmados");
    await checkState(page, "demo");
  });

  test(`the page of instructors is in Spanish at ${width} px`, async () => {
    const page = await show("/teaching", "curie", width);
    await page.locator("#sections summary", { hasText: "PHYS 101" }).click();
    await shows(page, "Inscritos: 1");
    await checkState(page, "teaching");
  });
}

test("the failure of a demonstration and an earlier measurement are in Spanish", async () => {
  const page = await show("/admin#demo", "admin", 1280);
  const measured = { code: "measured", args: { date: "2026-11-24", version: "6.2.2", threads: 4, seconds: 10, cores: 2, processor: "AMD EPYC" } };
  const row = { target: "plone", recorded: "measured on 2026-11-24", measured, users: 200, requests: 9, per_s: 1, latency_ms: { p50: 1, p95: 1, p99: 1 }, errors: 0, told: 9, held: 9, oversold: 0, lost: 0 };
  const failed = { task: "01a20ba0-12fa-7499-a87a-147dd1f3df17", state: "failed", phase: "finished", message: "The hub returned status 500.", reason: { code: "hub_status", args: { status: 500 } }, users: 20, seconds: 3, target: "both", results: [row], background: null };
  await page.route("**/api/v1/admin/demo", (route) => route.fulfill({ json: failed }));
  await shows(page, "El hub devolvió el estado 500\\..*medido el 2026.11.24 con Plone 6\\.2\\.2 .*núcleos de un procesador AMD EPYC");
  assert.equal(await page.locator("#demo [lang=en]").count(), 0);
  await checkState(page, "a failed demonstration");
});

test("audit details, problems of Plone and the welcome are translated by their codes", async () => {
  const page = await show("/admin#audit", "admin", 1280);
  await shows(page, "entradas?\\.");
  const texts = await page.evaluate(async () => {
    const [{ codedText }, { alertText }] = await Promise.all([import("/static/js/coded-text.js"), import("/static/js/alerts.js")]);
    const text = (area, coded) => codedText(area, coded, "English");
    const permit = { code: "refused", args: { refusal: "section_full", what: { code: "with_reason", args: { what: { code: "override", args: { what: { code: "register" }, codes: ["hold", "time_conflict"] } }, reason: "beca" } } } };
    return [
      text("detail", permit), text("detail", { code: "limited_rights", args: { role: "staff", subjects: "MATH, PHYS and STAT" } }), text("detail", { code: "people", args: { n: 1 } }),
      text("plone.problem", { code: "field", args: { field: "capacity", problem: { code: "number_form", args: { text: "x", max: 100000 } } } }),
      text("detail", { code: "of_a_later_version" }).lang,
      alertText({ title: "Welcome", message: "", notice: { reason: "welcome", course: "", crn: "" } }).title,
    ];
  });
  assert.deepEqual(texts, [
    "rechazado: sección llena; inscribir; excepciones: retención, conflicto de horario; beca", "administrativo (materias: MATH, PHYS y STAT)", "1 persona",
    'capacity: debe ser un número entero de 0 a 100,000, y no "x"', "en", "Le damos la bienvenida a la institución de demostración",
  ]);
});

test("a finished demonstration is in Spanish", async () => {
  const page = await show("/admin#demo", "admin", 1280);
  await page.getByLabel("Estudiantes (hasta 10,000)").fill("20");
  await page.getByLabel("Segundos (hasta 60)").fill("1");
  await page.getByRole("button", { name: "Ejecutar la prueba" }).click();
  await until(page, () => document.querySelector("#demo-result .final"));
  await page.locator("#demo-numbers").evaluate((el) => { el.open = true; });
  await checkState(page, "demo");
});

test("changing the language keeps the values in a form, and the view", async () => {
  const page = await open(chrome, hub, "/staff#alerts", { user: "staff" });
  await page.waitForSelector("#which-term option", { state: "attached" });
  await page.fill("#alert-form [name=title]", "Snow day");
  await page.check("#alert-form [name=to][value=some]");
  await page.check("#alert-form [name=roles][value=student]");
  await page.getByRole("button", { name: "Español" }).click();
  await shows(page, "Enviar una alerta");
  await until(page, () => document.querySelector("#alert-form [name=title]").value === "Snow day" && document.querySelector("#preview").textContent.includes("Snow day"));
  assert.equal(await page.isChecked("#alert-form [name=roles][value=student]"), true);
  assert.equal(await page.getAttribute("html", "lang"), "es");
  // The next visit is in Spanish, too.
  await page.goto(`${hub.url}/admin`);
  await until(page, () => document.documentElement.lang === "es");
});

test("dates and numbers follow the language", async () => {
  const page = await show("/staff#terms", "staff", 1280);
  await shows(page, "Otoño de 2031");
  const row = await page.locator(".term-card", { hasText: "Otoño" }).innerText();
  assert.match(row, /(lun|mar|mié|jue|vie|sáb|dom)\b.*(ene|feb|mar|abr|may|jun|jul|ago|sep|oct|nov|dic)/s);
});

test("problems are shown in Spanish by their code and field", async () => {
  const page = await show("/staff#terms", "staff", 1280);
  await page.waitForSelector("#terms .term-card");
  await page.fill("#term-form [name=id]", "no válido");
  await page.getByRole("button", { name: "Guardar el período" }).click();
  await until(page, () => /El código de un período tiene de 1 a 24 letras/.test(document.querySelector("#term-form .stop")?.textContent));
  assert.deepEqual(await leftInEnglish(page), []);
  await page.fill("#term-form [name=id]", "valido");
  await page.fill("#term-form [name=opens_at]", "2090-02-01T08:00");
  await page.fill("#term-form [name=closes_at]", "2090-01-01T08:00");
  await page.getByRole("button", { name: "Guardar el período" }).click();
  await until(page, () => /La inscripción debe cerrar después de abrir\./.test(document.querySelector("#term-form .stop")?.textContent));
});

test("a refused username is explained in Spanish", async () => {
  const page = await show("/admin#people", "admin", 1280);
  await page.getByRole("button", { name: "Agregar cuenta" }).click();
  await page.locator("form.account [name=username]").fill("ana sol");
  await page.locator("form.account [name=password]").fill("una clave bastante larga");
  await page.locator("form.account .strong").click();
  await shows(page, "Un nombre de usuario tiene de 1 a 120 caracteres, sin espacios");
});

test("no page has a text outside the word tables", () => {
  const js = readdirSync(new URL("js/", STATIC), { recursive: true }).filter((name) => name.endsWith(".js") && !name.startsWith("words/"));
  // Names of products, keys, headers and events, and values of settings.
  const allowed = /^(Arrow(Up|Down|Left|Right)|Page(Up|Down)|Home|End|Escape|Enter|Tab|Content-Type|Retry-After|Accept|Age|Authorization|GET|POST|PUT|PATCH|DELETE|Files|UTC|Example College|America\/New_York|Plone|EduHub|English|Español|Edg|Edge|OPR|Opera|Firefox|Chrome|Safari|iPhone|iPad|Android|Windows|Mac OS X|macOS|CrOS|ChromeOS|Linux|Guardian|KiB|[A-Z]\d.*|[MVHLz\d\s.,${}()-]+|M.*|Edge?\/|Opera\/)$/;
  const found = [];
  for (const name of js) {
    const code = readFileSync(new URL(`js/${name}`, STATIC), "utf8").replace(/^\s*(\/\/|\/?\*).*$/gm, "");
    for (const [, a, b] of code.matchAll(/"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g)) {
      const text = (a ?? b).replace(/\$\{[^{}]*(\{[^{}]*\}[^{}]*)*\}/g, "").trim();
      if ((/^\p{Lu}\p{Ll}+/u.test(text) || /^[a-z]+ [a-z]+ [a-z]+[. ]/.test(text) && !/^[\w-]+( [\w-]+)*$/.test(text)) && !allowed.test(text)) found.push(`${name}: ${text}`);
    }
  }
  assert.deepEqual(found, []);
  for (const name of readdirSync(STATIC).filter((one) => one.endsWith(".html"))) {
    const html = readFileSync(new URL(name, STATIC), "utf8").replace(/<noscript>.*?<\/noscript>/gs, "");
    const bare = [...html.matchAll(/<[a-z0-9]+((?:\s[^<>]*)?)>([^<>]*\p{L}[^<>]*)</gu)].filter(([, attributes, text]) => !/data-t=/.test(attributes) && !["EduHub", "Plone", "API - EduHub"].includes(text.trim()));
    const labels = [...html.matchAll(/<[^<>]*\s(?:aria-label|placeholder)="[^<>]*>/g)].filter(([tag]) => !/data-t-(label|hint)=/.test(tag));
    assert.deepEqual([...bare, ...labels].map(([all]) => all), [], name);
  }
});
