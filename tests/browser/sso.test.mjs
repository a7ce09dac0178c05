// Single sign-on with a real, certified provider: signing in and out, refusals, and registration without the provider.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { IdentityProvider, settingsFor } from "./provider.mjs";
import { browser, freePort, Hub, open, row, until, violations } from "./support.mjs";

let hub, idp, chrome;
before(async () => {
  const port = await freePort();
  idp = await IdentityProvider.start(`http://127.0.0.1:${port}`);
  [hub, chrome] = await Promise.all([Hub.start(settingsFor(idp), port), browser()]);
  await hub.term("sso", ["1,MATH 151,Calculus I,A01,lecture,5,9,3,MWF,09:00-09:50,Lee", "2,PHYS 101,Physics,A01,lecture,4,9,3,TR,09:30-10:20,Curie"]);
});
after(async () => { await chrome?.close(); await hub?.end(); await idp?.stop(); });

/** Signs in at the provider as the account with this username, from the sign-in page at `where`. */
async function signIn(account, where = "/", how = {}) {
  const page = await open(chrome, hub, where, how);
  await page.getByRole("link", { name: /College account/ }).click();
  await page.getByRole("button", { name: account, exact: true }).click();
  return page;
}

/** Opens another WebSocket in the page and returns its user. `window.socketClosed` resolves to its close code. */
const socket = (page) => page.evaluate(() => new Promise((resolve) => {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/alerts/ws`);
  window.socketClosed = new Promise((closed) => { socket.onclose = ({ code }) => closed(code); });
  socket.onmessage = ({ data }) => JSON.parse(data).type === "welcome" && resolve(JSON.parse(data).user.username ?? JSON.parse(data).user);
}));

const session = (page) => page.evaluate(async () => (await (await fetch("/api/v1/session")).json()).user);
const cookies = async (page) => (await page.context().cookies(hub.url)).filter(({ name }) => name.startsWith("eduhub_"));

test("the sign-in page offers the provider first, and local accounts after it", async () => {
  const offered = await (await fetch(`${hub.url}/api/v1/auth/providers`)).json();
  assert.deepEqual(offered, { password: true, plone: false, providers: [{ id: "college", title: "College account", kind: "oidc", url: "/auth/college/login" }] });
  for (const [locale, button, local] of [["en-US", "Sign in with College account", "Sign in with an EduHub account"], ["es-MX", "Iniciar sesión con College account", "Iniciar sesión con una cuenta de EduHub"]]) {
    const page = await open(chrome, hub, "/", { bypassCSP: true, locale });
    await page.getByRole("link", { name: button }).waitFor();
    assert.equal(await page.locator("#sign-in input").first().isVisible(), false);
    assert.deepEqual(await violations(page), []);
    await page.getByText(local).click();
    await page.locator("#sign-in [name=username]").fill("student2");
    await page.locator("#sign-in [name=password]").fill("eduhub-demo");
    await page.keyboard.press("Enter");
    await until(page, () => document.querySelector("#sign-in").hidden);
  }
});

test("a student signs in at the provider, registers, and signs out in both places", async () => {
  const page = await signIn("ann");
  await page.waitForURL(`${hub.url}/`);
  assert.deepEqual(await session(page), { username: "ann", name: "Ann Ångström", role: "student" });
  assert.deepEqual((await cookies(page)).map(({ name }) => name), ["eduhub_session"], "the cookie of the pending sign-in is removed");
  await page.selectOption("#which-term", "sso");
  await row(page, "MATH 151").getByRole("button", { name: /Register/ }).click();
  await until(page, () => [...document.querySelectorAll(".row")].some((one) => /MATH 151/.test(one.textContent) && /Enrolled/.test(one.textContent)));
  const users = await hub.ask("admin", "GET", "/api/v1/admin/users?q=ann");
  assert.deepEqual(users.items.map(({ username, source }) => [username, source]), [["ann", "oidc:college"]]);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign out" }).waitFor();
  assert.ok(page.url().startsWith(idp.issuer), page.url());
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${hub.url}/`);
  assert.equal(await session(page), null);
  await page.getByRole("link", { name: /College account/ }).click();
  await page.getByRole("button", { name: "ann", exact: true }).waitFor();
});

test("staff return to the page where they began, with the role of their group", async () => {
  const page = await signIn("dean", "/staff");
  await page.waitForURL(`${hub.url}/staff`);
  assert.equal((await session(page)).role, "staff");
});

test("a sign-out at the provider ends the sign-in and closes its WebSocket", async (t) => {
  const page = await signIn("dean");
  await page.waitForURL(`${hub.url}/`);
  assert.equal(await socket(page), "dean");
  const [{ value }] = await cookies(page);
  const other = await page.context().newPage();
  await other.goto(`${idp.issuer}/session/end`);
  const begun = Date.now();
  await other.getByRole("button", { name: "Sign out" }).click();
  assert.equal(await page.evaluate(() => window.socketClosed), 4003);
  t.diagnostic(`the WebSocket was closed ${Date.now() - idp.called} ms after the provider's request, ${Date.now() - begun} ms after the click on its page`);
  const response = await fetch(`${hub.url}/api/v1/me`, { headers: { Authorization: `Bearer ${value}` } });
  assert.equal(response.status, 401);
});

test("a logout request without a valid token ends no sign-in", async () => {
  const page = await signIn("dean");
  await page.waitForURL(`${hub.url}/`);
  for (const body of ["", "logout_token=", "logout_token=a.b.c", "logout_token=eyJhbGciOiJub25lIn0.e30."]) {
    const response = await fetch(`${hub.url}/auth/college/backchannel-logout`, { method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body });
    assert.equal(response.status, 400, body);
  }
  assert.equal((await session(page)).username, "dean");
});

test("refused sign-ins say why and whom to ask, in the browser's language", async () => {
  const cases = [
    ["student", "en-US", /username student belongs to a local EduHub account/, /contact the help desk, 555-0100/],
    ["guest", "es-MX", /no tiene un rol en EduHub/, /comuníquese con the help desk/],
    ["Cancel", "en-US", /did not complete the sign-in/, /contact the help desk/],
  ];
  for (const [account, locale, what, ask] of cases) {
    const page = await signIn(account, "/", { locale, bypassCSP: true });
    await page.waitForURL(/\/auth\/college\/callback/);
    const text = await page.locator("main").innerText();
    assert.match(text, what);
    assert.match(text, ask);
    assert.deepEqual(await violations(page), []);
    assert.equal(await session(page), null);
    assert.deepEqual(await cookies(page), []);
  }
});

test("a sign-in is completed only once and only in the browser that began it", async () => {
  const { flow, callback } = await idp.authorize("1001");
  const end = async (cookie, url = callback) => (await fetch(url, { redirect: "manual", headers: { Cookie: cookie } })).status;
  assert.equal(await end(""), 400, "another browser");
  assert.equal(await end(flow, callback.replace(/state=\w/, "state=%20")), 400, "another state");
  assert.equal(await end(flow), 303);
  assert.equal(await end(flow), 400, "used before");
});

test("a sign-in returns only to pages of the hub", async () => {
  for (const [next, expected] of [["/staff?x=1", "/staff?x=1"], ["//evil.example/", "/"], ["https://evil.example/", "/"], ["/\\evil.example", "/"]]) {
    const page = await open(chrome, hub, `/auth/college/login?next=${encodeURIComponent(next)}`);
    await page.getByRole("button", { name: "dean", exact: true }).click();
    await page.waitForURL(hub.url + expected);
  }
});

test("students who are signed in register while the provider is down", async () => {
  const page = await signIn("ann");
  await page.waitForURL(`${hub.url}/`);
  await idp.stop();
  try {
    await page.reload();
    await page.selectOption("#which-term", "sso");
    await row(page, "PHYS 101").getByRole("button", { name: /Register/ }).click();
    await until(page, () => [...document.querySelectorAll(".row")].some((one) => /PHYS 101/.test(one.textContent) && /Enrolled/.test(one.textContent)));
    const local = await hub.ask("student2", "PUT", "/api/v1/me/registrations/sso-2");
    assert.equal(local.status, "enrolled", "local accounts work");

    // The provider's addresses are known, so the browser is sent there, but its response cannot be checked.
    const begun = await fetch(`${hub.url}/auth/college/login`, { redirect: "manual" });
    assert.equal(begun.status, 303);
    const state = new URL(begun.headers.get("Location")).searchParams.get("state");
    const cookie = begun.headers.get("Set-Cookie").split(";")[0];
    const ended = await fetch(`${hub.url}/auth/college/callback?code=c&state=${state}`, { redirect: "manual", headers: { Cookie: cookie } });
    assert.equal(ended.status, 503);
    assert.match(await ended.text(), /College account did not respond[^]*already signed in are not affected/);
    assert.equal((await session(page)).username, "ann");
  } finally {
    await idp.run();
  }
});
