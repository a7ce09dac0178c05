// Offers of seats to students on waitlists: accepted, declined and lapsed on the student's page, and set by staff.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { lateBy } from "./staff-clock.mjs";
import { browser, Hub, open, until, violations } from "./support.mjs";

/** How long seats are offered, in seconds. No test waits that long. */
const LONG_S = 3600;
let hub, chrome;
before(async () => {
  [hub, chrome] = await Promise.all([Hub.start(), browser()]);
});
after(async () => { await chrome?.close(); await hub?.end(); });

/** Creates a term with a full section whose seats are offered for `offer_s`. `holder` has the seat; `waiting` wait. */
async function term(id, offer_s, holder, waiting) {
  await hub.term(id, ["1,MATH 151,Calculus I,A01,lecture,5,1,5,MWF,09:00-09:50,Lee"]);
  await hub.ask("staff", "PUT", `/api/v1/terms/${id}`, { waitlist: "offer", offer_s, offer_first_day_s: LONG_S });
  for (const user of [holder, ...waiting]) {
    hub.mint(user, "student");
    await hub.ask(user, "PUT", `/api/v1/me/registrations/${id}-1?waitlist=true`);
  }
  return { free: () => hub.ask(holder, "DELETE", `/api/v1/me/registrations/${id}-1`) };
}

const live = (page) => until(page, () => document.querySelector("#live").dataset.state === "live");
const offered = (page) => until(page, () => document.querySelector("#offers .offer .left")?.textContent);
/** Waits until the page has a banner about an offer, or has none. */
const banner = (page, has) => until(page, (has) => [...document.querySelectorAll("#banners > *")].some((el) => /been offered a seat|se le ofrece/i.test(el.textContent)) === has, has);
const noOffer = (page) => until(page, () => !document.querySelector("#offers .offer"));
const isStatus = async (page, user, id, status) => {
  await until(page, async ({ id, status }) => {
    const { items } = await (await fetch(`/api/v1/me/registrations?term=${id}`)).json();
    return status ? items[0]?.status === status : !items.length;
  }, { id, status });
  assert.deepEqual(await hub.registrations(user, id), status ? [`1 ${status}`] : []);
};

test("an offer arrives live with its deadline by the hub's clock and is accepted", async () => {
  const { free } = await term("accept", LONG_S, "anne", ["bert"]);
  const page = await open(chrome, hub, "/?term=accept", { user: "bert", script: lateBy(5), bypassCSP: true });
  await live(page);
  await free();
  await offered(page);
  await banner(page, true);
  const card = page.locator("#offers .offer");
  assert.match(await card.textContent(), /You've been offered a seat in MATH 151 lecture \(1\)/);
  assert.match(await card.textContent(), /Accept it by .+\d:\d\d.+ After that, it goes to the next student on the waitlist\./);
  // The device is five hours behind, so by its own clock six hours would be left. The page knows the hub's clock to
  // within the duration of a request.
  assert.match(await card.locator(".left").textContent(), /^(1:00:0[01]|\d?\d:\d\d)$/);
  assert.deepEqual(await violations(page), []);
  await page.getByRole("button", { name: "Español" }).click();
  await until(page, () => /Se le ofrece un cupo en MATH 151/.test(document.querySelector("#offers").textContent));
  assert.match(await card.textContent(), /Acéptelo antes de esta fecha y hora: .+ Después se ofrecerá al siguiente estudiante/);
  assert.deepEqual(await violations(page), []);
  await card.getByRole("button", { name: /^Aceptar el cupo/ }).click();
  await noOffer(page);
  await banner(page, false);
  await isStatus(page, "bert", "accept", "enrolled");
  assert.deepEqual(page.wrong, []);
});

test("an offer made before the page was opened is declined and goes to the next student", async () => {
  const { free } = await term("decline", LONG_S, "carl", ["dora", "emil"]);
  await free();
  const [dora, emil] = await Promise.all(["dora", "emil"].map((user) => open(chrome, hub, "/?term=decline", { user })));
  await Promise.all([offered(dora), live(emil), banner(dora, true)]);
  assert.equal(await emil.locator("#offers .offer").count(), 0);
  await dora.locator("#offers").getByRole("button", { name: /^Decline/ }).click();
  await noOffer(dora);
  await banner(dora, false);
  await offered(emil);
  await isStatus(dora, "dora", "decline", undefined);
  await isStatus(emil, "emil", "decline", "offered");
  assert.deepEqual([...dora.wrong, ...emil.wrong], []);
});

test("on a phone, only an offer that is out of sight has a banner", async () => {
  const { free } = await term("phone", LONG_S, "jack", ["kate"]);
  const page = await open(chrome, hub, "/?term=phone#term", { user: "kate", width: 390, height: 844 });
  // When its only banner is hidden, the box around it is hidden, too.
  const isVisible = (wanted) => until(page, (wanted) => document.querySelector("#banners [data-notice=offer]")?.checkVisibility() === wanted && document.querySelector("#banners").checkVisibility() === wanted, wanted);
  await live(page);
  await free();
  await offered(page);
  await isVisible(false);
  await page.locator("#views [href='#find']").click();
  await isVisible(true);
  await page.locator("#views [href='#term']").click();
  await isVisible(false);
  assert.deepEqual(page.wrong, []);
});

test("an offer that lapses disappears and the page says why", async () => {
  const { free } = await term("lapse", 1, "fred", ["gina"]);
  const page = await open(chrome, hub, "/?term=lapse", { user: "gina" });
  await live(page);
  await until(page, () => document.querySelector('.schedule-row[data-kind="waitlisted"]'));
  await free();
  await until(page, () => /You didn't accept the offered seat in time/.test(document.querySelector(".schedule-view").textContent));
  await noOffer(page);
  await banner(page, false);
  await isStatus(page, "gina", "lapse", undefined);
  assert.deepEqual(page.wrong, []);
});

test("the reason why an acceptance is refused is shown, and the offer stays", async () => {
  const { free } = await term("refuse", LONG_S, "hans", ["ines"]);
  await hub.ask("staff", "PUT", "/api/v1/students/ines", { holds: [] });
  await free();
  await hub.ask("staff", "PUT", "/api/v1/students/ines", { holds: [{ id: "fine", text: "A book is missing.", office: "Library", blocks: ["register"] }] });
  const page = await open(chrome, hub, "/?term=refuse", { user: "ines" });
  await offered(page);
  await page.locator("#offers").getByRole("button", { name: /^Accept seat/ }).click();
  await until(page, () => /There's a hold on your account from Library/.test(document.querySelector("#offers .stop")?.textContent));
  await isStatus(page, "ines", "refuse", "offered");
  assert.deepEqual(page.wrong, []);
});

test("staff set in the term editor whether and for how long seats are offered", async () => {
  await hub.term("editor", ["1,MATH 151,Calculus I,A01,lecture,5,1,5,MWF,09:00-09:50,Lee"]);
  const saved = async () => {
    const { waitlist, offer_s, offer_first_day_s } = (await hub.ask("staff", "GET", "/api/v1/terms")).items.find(({ id }) => id === "editor");
    return [waitlist, offer_s, offer_first_day_s];
  };
  const page = await open(chrome, hub, "/staff#terms", { user: "staff" });
  const edit = page.locator("#terms .term-card", { hasText: "editor" }).getByRole("button", { name: /^Edit/ });
  const save = async (fields) => {
    await edit.click();
    await until(page, () => document.querySelector("#term-form [name=id]").value === "editor");
    if (fields.waitlist) await page.selectOption("#term-form [name=waitlist]", fields.waitlist);
    for (const name of ["offer_s", "offer_first_day_s"]) if (fields[name] !== undefined) await page.fill(`#term-form [name=${name}]`, fields[name]);
    const put = page.waitForResponse((response) => response.request().method() === "PUT" && response.url().endsWith("/api/v1/terms/editor"));
    await page.getByRole("button", { name: "Save term" }).click();
    assert.equal((await put).status(), 200);
    await until(page, (id) => [...document.querySelectorAll(".term-card")].some((card) => card.querySelector("small").textContent === id && /Saved\./.test(card.querySelector("[role=status]").textContent)), "editor");
  };
  await save({ waitlist: "offer", offer_s: "120", offer_first_day_s: "1.5" });
  assert.deepEqual(await saved(), ["offer", 7200, 90]);
  await save({});
  assert.deepEqual(await saved(), ["offer", 7200, 90]);
  await save({ waitlist: "college" });
  assert.deepEqual(await saved(), [null, null, null]);
  assert.deepEqual(page.wrong, []);
});
