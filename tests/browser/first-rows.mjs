// Measures how long the student's page takes from the navigation to the first rows, without a cache.

/** Measured loads under each condition. One more load before them warms up the hub and the browser. */
const LOADS = Number(process.env.LOADS ?? 7);
/** The pause before each load, in which the browser finishes the previous one. */
const PAUSE_MS = 700;
const PHONE = { latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 1.6e6 / 8 };
const OPEN_NETWORK = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
/** The conditions: name, factor by which the page's processor is throttled, and network. */
const CONDITIONS = [
  ["first rows, unthrottled", 1, OPEN_NETWORK],
  ["first rows, CPU ×4", 4, OPEN_NETWORK],
  ["first rows, CPU ×4, 1.6 Mbit/s, 150 ms", 4, PHONE],
];

/** Reports the time at which a frame with the first rows has been drawn. Runs in the page. */
const watch = () => {
  const look = (_, observer) => {
    if (!document.querySelector(".row .course")?.textContent) return;
    observer.disconnect();
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => window.firstRows(String(performance.now()));
      port2.postMessage(null);
    });
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
};

/** Returns `[condition, times]` for each condition, with the times of all loads in milliseconds, sorted. */
export async function firstRows(chrome, hub, { width = 390, height = 844 } = {}) {
  const context = await chrome.newContext({ viewport: { width, height }, locale: "en-US" });
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  for (const domain of ["Network", "Page", "Runtime"]) await devtools.send(`${domain}.enable`);
  await devtools.send("Runtime.addBinding", { name: "firstRows" });
  await devtools.send("Page.addScriptToEvaluateOnNewDocument", { source: `(${watch})()` });
  const times = CONDITIONS.map(() => []);
  // The conditions take turns, so that other work on the machine affects all of them alike.
  for (let load = 0; load <= LOADS; load += 1) for (const [i, [, slower, network]] of CONDITIONS.entries()) {
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: 1 });
    await devtools.send("Page.navigate", { url: "about:blank" });
    await devtools.send("Network.clearBrowserCache");
    await devtools.send("Storage.clearDataForOrigin", { origin: hub.url, storageTypes: "all" });
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: slower });
    await devtools.send("Network.emulateNetworkConditions", { offline: false, ...network });
    // Avoids the functions of the test library: their scripts would take time in the throttled page.
    const drawn = new Promise((resolve) => devtools.once("Runtime.bindingCalled", ({ payload }) => resolve(Number(payload))));
    await devtools.send("Page.navigate", { url: `${hub.url}/` });
    const at = await drawn;
    if (load > 0) times[i].push(at);
  }
  await context.close();
  return CONDITIONS.map(([name], i) => [name, times[i].sort((a, b) => a - b)]);
}

/** Returns the median of sorted times and their range, as text. */
export const spread = (times) => `${Math.round(times[times.length >> 1])} ms (${Math.round(times[0])} to ${Math.round(times.at(-1))}, ${times.length} loads)`;
