// How much a page weighs: a phone on a bad connection has to have it before it can do anything.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, Hub, until } from "./support.mjs";

/** All that a cold visit brings before its first screen is whole, headers and bodies as they were sent. */
const FIRST_VIEW_BYTES_MAX = 60_000;
/** The rest of the term, page by page, comes after the first screen; its size is the college's. */
const isTheRest = (url) => url.includes("/sections?") && url.includes("cursor=");

let hub, chrome;
before(async () => { [hub, chrome] = await Promise.all([Hub.start(), browser()]); });
after(async () => { await chrome?.close(); await hub?.end(); });

for (const [locale, width] of [["en-US", 390], ["es-MX", 1280]]) {
  test(`the first view of the student's page is under 60 kB (${locale}, ${width} px)`, async () => {
    const context = await chrome.newContext({ viewport: { width, height: 844 }, locale });
    const page = await context.newPage();
    const network = await context.newCDPSession(page);
    await network.send("Network.enable");
    const asked = new Map();
    const got = [];
    let bytes = 0;
    network.on("Network.requestWillBeSent", ({ requestId, request }) => asked.set(requestId, request.url));
    network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
      if (!isTheRest(asked.get(requestId))) bytes += encodedDataLength;
      got.push(`${encodedDataLength} ${asked.get(requestId)}`);
      asked.delete(requestId);
    });
    network.on("Network.webSocketFrameReceived", ({ response }) => { bytes += response.payloadData.length; });
    await page.goto(hub.url);
    // All of the term is there when all of its subjects are, and nothing that was asked for is still on its way.
    await until(page, () => document.querySelectorAll("#subject option").length > 3 && document.querySelector("#live").dataset.state === "live" && document.querySelectorAll(".row").length > 5);
    await page.waitForLoadState("networkidle");
    assert.deepEqual([...asked.values()], []);
    assert.ok(got.length > 15 && bytes < FIRST_VIEW_BYTES_MAX, `${bytes} bytes: ${got.join(", ")}`);
    const languages = got.filter((one) => one.includes("/words/"));
    assert.equal(languages.length, 1, `only the language that is read: ${languages}`);
    await context.close();
  });
}
