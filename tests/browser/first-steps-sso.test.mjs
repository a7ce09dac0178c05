// The first steps of an empty hub lead an administrator to single sign-on, with a real, certified provider.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { IdentityProvider, settingsFor } from "./provider.mjs";
import { browser, freePort, Hub, open, until, violations } from "./support.mjs";

let hub, idp, chrome;
before(async () => {
  const port = await freePort();
  idp = await IdentityProvider.start(`http://127.0.0.1:${port}`);
  [hub, chrome] = await Promise.all([Hub.start({}, port, ["serve"]), browser()]);
  hub.mint("admin", "admin");
});
after(async () => { await chrome?.close(); await hub?.end(); await idp?.stop(); });

const step = (page, pattern) => until(page, (source) => new RegExp(source).test(document.querySelector("[data-step=people]")?.textContent), pattern);

test("the settings from the first steps enable single sign-on, and the step shows the provider", async () => {
  const page = await open(chrome, hub, "/admin", { user: "admin", bypassCSP: true, width: 390, height: 844 });
  await step(page, "Only your account exists");
  await page.getByText("Set up single sign-on").click();
  assert.match(await page.locator("[data-step=people] details p").first().textContent(), /SAML, Shibboleth, or CAS.*docs\/SSO\.md/, "a college without OpenID Connect needs none of these steps");
  const [uri, lines] = await page.locator("[data-step=people] pre").allTextContents();
  assert.equal(uri, `${hub.url}/auth/college/callback`);
  // At the top of the page, the header covers nothing.
  await page.evaluate(() => scrollTo(0, 0));
  assert.deepEqual(await violations(page), []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the settings are not wider than a phone");
  await page.close();

  const values = settingsFor(idp);
  const settings = lines.replace(/(issuer) = ".*"/, `$1 = "${idp.issuer}"`).replace(/(client_secret) = ".*"/, `$1 = "${values.EDUHUB_AUTH__OIDC__COLLEGE__CLIENT_SECRET}"`);
  writeFileSync(path.join(hub.folder, "config.toml"), settings);
  await hub.stop();
  await hub.run();

  const student = await open(chrome, hub, "/#term");
  await student.getByRole("link", { name: "Sign in with College account" }).click();
  await student.getByRole("button", { name: "ann", exact: true }).click();
  await until(student, () => document.querySelector("#who")?.textContent.includes("Ann"));

  for (const [locale, pattern] of [["en-US", "The hub has .+\\. Sign-in: College account\\."], ["es-MX", "El hub tiene .+\\. Inicio de sesión: College account\\."]]) {
    const again = await open(chrome, hub, "/admin", { user: "admin", locale });
    await step(again, pattern);
    assert.equal(await again.locator("[data-step=people] details").count(), 0, "nothing is left to set up");
    assert.equal(await again.locator("[data-step=people]").getAttribute("class"), "good");
    assert.deepEqual(again.wrong, []);
  }
});
