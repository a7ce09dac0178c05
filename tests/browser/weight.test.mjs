// How many bytes the first view transfers: a phone on a slow connection needs all of them before the page is usable.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, WAIT_MS_MAX, until } from "./support.mjs";

/** The bytes of a visit without a cache until the first screen is complete: headers and bodies as transferred. */
const FIRST_VIEW_BYTES_MAX = 60_000;
/** Returns whether a request loads the rest of the term, whose size depends on the college, after the first screen. */
const isRestOfTerm = (url) => url.includes("/sections?") && url.includes("cursor=");

/** Resolves when no request is pending. The page may request its alerts again after the network has been idle. */
const finished = (network, pending) => new Promise((resolve, reject) => {
  const check = () => { if (pending.size === 0) resolve(); };
  network.on("Network.loadingFinished", check);
  AbortSignal.timeout(WAIT_MS_MAX).addEventListener("abort", () => reject(new Error(`pending: ${[...pending.values()].join(", ")}`)));
  check();
});

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

for (const [locale, width] of [["en-US", 390], ["es-MX", 1280]]) {
  test(`the first view of the student's page is under 60 kB (${locale}, ${width} px)`, async () => {
    const context = await chrome.newContext({ viewport: { width, height: 844 }, locale });
    const page = await context.newPage();
    const network = await context.newCDPSession(page);
    await network.send("Network.enable");
    const pending = new Map();
    const got = [];
    let bytes = 0;
    network.on("Network.requestWillBeSent", ({ requestId, request }) => pending.set(requestId, request.url));
    network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
      if (!isRestOfTerm(pending.get(requestId))) bytes += encodedDataLength;
      got.push(`${encodedDataLength} ${pending.get(requestId)}`);
      pending.delete(requestId);
    });
    network.on("Network.webSocketFrameReceived", ({ response }) => { bytes += response.payloadData.length; });
    await page.goto(hub.url);
    // The whole term has loaded once all of its subjects are listed and no request is pending.
    await until(page, () => document.querySelectorAll("#subject option").length > 3 && document.querySelector("#live").dataset.state === "live" && document.querySelectorAll(".row").length > 5);
    await page.waitForLoadState("networkidle");
    await finished(network, pending);
    assert.ok(got.length > 10 && bytes < FIRST_VIEW_BYTES_MAX, `${bytes} bytes: ${got.join(", ")}`);
    const languages = got.filter((one) => one.includes("/words/"));
    assert.equal(languages.length, 1, `only the texts of one language are loaded: ${languages}`);
    await context.close();
  });
}
