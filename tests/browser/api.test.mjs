// The API page: users can read and try its operations.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until, violations } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

test("an operation is tried with the rights of the signed-in user", async () => {
  const page = await open(chrome, hub, "/docs", { user: "student" });
  const operation = page.locator("#operations-identity-me");
  await operation.getByText("/api/v1/me", { exact: true }).click();
  await operation.getByRole("button", { name: "Try it out" }).click();
  await operation.getByRole("button", { name: "Execute" }).click();
  const response = operation.locator(".live-responses-table .response");
  await response.getByText('"student"').first().waitFor();
  assert.match(await response.textContent(), /^200/);
  assert.deepEqual(page.wrong, []);
});

for (const colorScheme of ["light", "dark"]) {
  test(`the page is readable in ${colorScheme} colors`, async () => {
    const page = await open(chrome, hub, "/docs", { user: "student", colorScheme, bypassCSP: true });
    await page.locator("#operations-identity-me").waitFor();
    for (const kind of ["get", "put", "post", "patch", "delete"]) {
      const operation = page.locator(`.opblock-${kind}`).first();
      await operation.locator(".opblock-summary-control").click();
      await operation.getByRole("button", { name: "Try it out" }).click();
    }
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme), colorScheme);
    assert.equal(await page.evaluate(() => document.documentElement.classList.contains("dark-mode")), colorScheme === "dark");
    assert.deepEqual((await violations(page)).filter((one) => one.startsWith("color-contrast")), []);
    assert.deepEqual(page.wrong, []);
  });
}

test("the page follows a change of the color scheme", async () => {
  const page = await open(chrome, hub, "/docs", { user: "student", colorScheme: "light" });
  await page.locator("#operations-identity-me").waitFor();
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.emulateMedia({ colorScheme: "dark" });
  await until(page, (light) => getComputedStyle(document.documentElement).backgroundColor !== light, light);
  await page.emulateMedia({ colorScheme: "light" });
  await until(page, (light) => getComputedStyle(document.documentElement).backgroundColor === light, light);
  assert.deepEqual(page.wrong, []);
});
