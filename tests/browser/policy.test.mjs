// The pages' security headers in a real browser: Trusted Types are enforced, and a page from the browser's cache keeps
// its policy.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, open, until } from "./support.mjs";

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

const isShown = (page) => until(page, () => document.querySelector("#sign-in form") && document.querySelector("#who a"));

for (const where of ["/", "/staff", "/admin"]) {
  test(`${where} works after a 304, and rejects text as HTML or code`, async () => {
    const page = await open(chrome, hub, where);
    await isShown(page);
    await page.reload();
    await isShown(page);
    assert.deepEqual(page.wrong, []);
    const first = await fetch(hub.url + where);
    assert.equal(first.headers.get("cross-origin-opener-policy"), "same-origin");
    assert.match(first.headers.get("permissions-policy"), /camera=\(\)/);
    const again = await fetch(hub.url + where, { headers: { "If-None-Match": first.headers.get("etag") } });
    assert.equal(again.status, 304);
    assert.equal(again.headers.get("content-security-policy"), first.headers.get("content-security-policy"));

    const outcomes = await page.evaluate(() => {
      const attempt = (run) => { try { run(); return "ran"; } catch (error) { return error.name; } };
      const script = document.createElement("script");
      return [
        attempt(() => { document.body.insertAdjacentHTML("beforeend", "<i>x</i>"); }),
        attempt(() => { document.createElement("div").innerHTML = "<i>x</i>"; }),
        attempt(() => { script.src = "/static/js/main.js"; }),
        attempt(() => { window.trustedTypes.createPolicy("other", { createHTML: (text) => text }); }),
      ];
    });
    assert.deepEqual(outcomes, ["TypeError", "TypeError", "TypeError", "TypeError"]);
  });
}

test("responses that are not pages run nothing when a browser shows them", async () => {
  for (const where of ["/api/v1/terms", "/static/icon.svg", "/static/style.css", "/nothing", "/api/v1/me"]) {
    const response = await fetch(hub.url + where);
    const policy = response.headers.get("content-security-policy");
    assert.match(policy ?? "", /^default-src 'none'/, where);
    assert.equal(response.headers.get("cross-origin-resource-policy"), "same-origin", where);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff", where);
  }
});
