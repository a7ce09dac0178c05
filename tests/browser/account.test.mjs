// The account page: password, second factor, sign-ins, guardian links and history of attempts, in two languages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { totp } from "./states.mjs";
import { browser, Hub, open, until, violations } from "./support.mjs";

const PASSWORD = "correct horse 1";
let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

/** Creates a local account. */
const account = (name, role) => hub.ask("admin", "PUT", `/api/v1/admin/users/${name}`, { role, password: PASSWORD });

/** Signs in with the form of the page. */
async function signIn(page, name, password) {
  await page.fill("#sign-in [name=username]", name);
  await page.fill("#sign-in [name=password]", password);
  await page.press("#sign-in [name=password]", "Enter");
}

const shows = (page, selector, text) => until(page, ([selector, text]) => document.querySelector(selector)?.textContent.includes(text), [selector, text]);

test("a user changes the password and ends another sign-in", async () => {
  await account("pat", "student");
  const page = await open(chrome, hub, "/account", { bypassCSP: true });
  await signIn(page, "pat", PASSWORD);
  await shows(page, "#sign-ins", "This device");
  const other = await fetch(`${hub.url}/api/v1/login`, { method: "POST", headers: { "Content-Type": "application/json", "User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/150.0" }, body: JSON.stringify({ username: "pat", password: PASSWORD }) });
  const { token } = await other.json();
  const me = async () => (await fetch(`${hub.url}/api/v1/me`, { headers: { Authorization: `Bearer ${token}` } })).status;
  await page.reload();
  await shows(page, "#sign-ins", "Firefox on Linux");
  assert.deepEqual(await violations(page), []);
  assert.equal(await me(), 200);
  await page.click("#sign-ins button");
  await shows(page, "#sign-ins-status", "Firefox on Linux was signed out.");
  assert.equal(await me(), 401);

  const change = async (current, fresh, again) => {
    await page.fill("#password [name=current]", current);
    await page.fill("#password [name=new]", fresh);
    await page.fill("#password [name=again]", again);
    await page.press("#password [name=again]", "Enter");
  };
  for (const [current, fresh, again, text] of [
    [PASSWORD, "battery staple 2", "battery staple", "don't match"],
    ["wrong", "battery staple 2", "battery staple 2", "current password is incorrect"],
    [PASSWORD, "Password2026!", "Password2026!", "easy to guess"],
    [PASSWORD, "battery staple 2", "battery staple 2", "Your password was changed"],
  ]) {
    await change(current, fresh, again);
    await shows(page, "#password [role=status]", text);
  }
  assert.deepEqual(page.wrong, []);
});

test("a user sets up a second factor in Spanish and signs in with a code", async () => {
  await account("sol", "staff");
  const page = await open(chrome, hub, "/account", { locale: "es-MX", bypassCSP: true });
  await signIn(page, "sol", PASSWORD);
  // The page redraws this form once it has loaded the state of the second factor.
  await page.waitForLoadState("networkidle");
  await page.fill("#factor [name=password]", "not the password");
  await page.press("#factor [name=password]", "Enter");
  await shows(page, "#factor", "La contraseña es incorrecta");
  await page.fill("#factor [name=password]", PASSWORD);
  await page.press("#factor [name=password]", "Enter");
  await until(page, () => document.querySelector("#factor .qr path") && document.activeElement.name === "code");
  assert.deepEqual(await violations(page), []);
  const secret = await page.textContent("#factor code");
  await page.fill("#factor [name=code]", "12");
  await page.press("#factor [name=code]", "Enter");
  await shows(page, "#factor", "El código es incorrecto");
  const used = Math.floor(Date.now() / 30_000);
  await page.fill("#factor [name=code]", totp(secret, used));
  await page.press("#factor [name=code]", "Enter");
  await shows(page, "#factor", "códigos de recuperación");
  assert.equal(await page.locator("#factor .codes li").count(), 10);
  await page.click("#factor button");
  await shows(page, "#factor", "un código de su aplicación");

  await page.click("#who button");
  await until(page, () => document.querySelector("#sign-in form"));
  assert.equal(await page.locator("#account form, #account li").count(), 0, "no data of the user remains on the page");
  await signIn(page, "sol", PASSWORD);
  await until(page, () => document.activeElement.name === "code" && !document.activeElement.closest("[hidden]"));
  await page.fill("#sign-in [name=code]", "000000");
  await page.press("#sign-in [name=code]", "Enter");
  await shows(page, "#sign-in [role=status]", "El código es incorrecto o ya se usó");
  await page.fill("#sign-in [name=code]", totp(secret, Math.max(used + 1, Math.floor(Date.now() / 30_000))));
  await page.press("#sign-in [name=code]", "Enter");
  await shows(page, "#sign-ins", "Este dispositivo");
  await page.fill("#factor [name=password]", PASSWORD);
  await page.press("#factor [name=password]", "Enter");
  await shows(page, "#factor", "Ahora solo necesita su contraseña");
  assert.deepEqual(page.wrong, []);
});

test("a student reads the history of requests with their receipts", async () => {
  const term = await hub.term("203307", ["1,MATH 1,Algebra,01,lecture,3,1,1,M,09:00-10:00,", "2,ART 2,Drawing,01,lecture,3,1,0,T,09:00-10:00,"]);
  hub.mint("vic", "student");
  hub.mint("wes", "student");
  await hub.ask("wes", "PUT", `/api/v1/me/registrations/${term}-2`);
  const granted = await hub.ask("vic", "PUT", `/api/v1/me/registrations/${term}-1`);
  await hub.ask("vic", "PUT", `/api/v1/me/registrations/${term}-1`);
  await hub.ask("vic", "PUT", `/api/v1/me/registrations/${term}-2`);
  const page = await open(chrome, hub, "/account", { user: "vic", bypassCSP: true });
  await shows(page, "#attempts li:nth-child(1)", "ART 2 lecture (2): Refused: section full");
  await shows(page, "#attempts li:nth-child(2)", "MATH 1 lecture (1): Enrolled (no change)");
  await shows(page, "#attempts li:nth-child(3)", `Receipt ${granted.receipt.n}: ${granted.receipt.hash}`);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.wrong, []);
  const spanish = await open(chrome, hub, "/account", { user: "vic", locale: "es-MX" });
  await shows(spanish, "#attempts li:nth-child(1)", "Rechazada: sección llena");
  assert.match(await spanish.textContent("#attempts li:nth-child(1) small"), /^\S+ .* GMT\u2212\d;/, "with a minus sign, after which lines do not break");
});

test("a user without a local account sees only the list of sign-ins", async () => {
  hub.mint("robot", "staff");
  const page = await open(chrome, hub, "/account", { user: "robot" });
  await until(page, () => !document.querySelector("#elsewhere").hidden && document.querySelector("#own").hidden);
  await shows(page, "#sign-ins", "No sign-ins.");
});

test("an instructor removes an earlier guardian link; limited staff get a link to their sections", async () => {
  await account("tess", "student");
  const page = await open(chrome, hub, "/account", { bypassCSP: true });
  await signIn(page, "tess", PASSWORD);
  await page.fill("#guardian [name=label]", "Mom");
  await page.press("#guardian [name=label]", "Enter");
  await shows(page, "#guardian", "/shared#");
  await hub.ask("admin", "PUT", "/api/v1/admin/users/tess", { role: "instructor" });
  await page.reload();
  await signIn(page, "tess", PASSWORD);
  await shows(page, "#guardian", "Mom");
  assert.equal(await page.locator("#guardian form").count(), 0, "only students create links");
  assert.deepEqual(await violations(page), []);
  await page.press("#guardian li button", "Enter");
  await until(page, () => document.querySelector("#shared").hidden);
  await hub.ask("admin", "PUT", "/api/v1/admin/users/tess", { role: "staff", subjects: ["MATH"] });
  await page.reload();
  await signIn(page, "tess", PASSWORD);
  await page.waitForSelector("#nav a[href='/teaching']");
  assert.equal(await page.locator("#shared").isVisible(), false);
});
