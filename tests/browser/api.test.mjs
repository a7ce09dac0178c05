// The page of the API: operations can be read and tried.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open } from "./support.mjs";

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
