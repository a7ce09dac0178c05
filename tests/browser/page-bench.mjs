// Measures how long the student's page takes to show its first rows, and then its frames, long tasks and memory while
// the seats of a large college change.
//
// Environment, with defaults: LOADS, the page loads in each measurement of the first rows (7); SECONDS, how long seats
// change (300; 0 measures only the first rows); CHANGES per second (500); SLOWER, the factor by which the page's
// processor is throttled while seats change, to simulate a phone (1). The exit status is 1 if no change reached the
// page, if a long task occurred while seats changed, or if memory grew by more than 1 MB after the warm-up.

import { availableParallelism, loadavg } from "node:os";
import { browser, Hub, open, until } from "./support.mjs";
import { firstRows, spread } from "./first-rows.mjs";
import { Crowd, lines, SECTIONS, SETTINGS } from "./crowd.mjs";

const SECONDS = Number(process.env.SECONDS ?? 300);
const CHANGES = Number(process.env.CHANGES ?? 500);
const SLOWER = Number(process.env.SLOWER ?? 1);
/** The interval between samples: short enough for several samples between the warm-up and the end. */
const SAMPLE_S = Math.min(15, SECONDS / 4);
/** Tasks longer than this are noticeable. The browser reports no shorter ones. */
const LONG_MS = 50;
/** Allowed growth of the heap after garbage collection: less than the size of one of the page's lists. */
const GROWTH_MAX_MB = 1.0;

const [hub, chrome] = await Promise.all([Hub.start(SETTINGS), browser()]);
const loads = await firstRows(chrome, hub);
const column = Math.max(...loads.map(([name]) => name.length)) + 2;
for (const [name, times] of loads) console.log(`${name.padEnd(column)}${spread(times)}`);
if (!SECONDS) {
  await chrome.close();
  await hub.end();
  process.exit();
}
await hub.term("bench", lines());
const script = "window.longTasks = []; new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ startTime, duration }) => ({ startTime, duration })))).observe({ type: 'longtask', buffered: true });";
const context = { user: "student", width: 1280, height: 800, reducedMotion: "no-preference", script };
await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["bench-10001", "bench-10026", "bench-10700"] });
const page = await open(chrome, hub, "/?term=bench", context);
const wholeTerm = (count) => until(page, (count) => document.querySelector("#found").textContent.startsWith(count), count);
await wholeTerm(SECTIONS.toLocaleString("en-US"));
await until(page, () => document.querySelectorAll("#subject option").length > 5);

const devtools = await page.context().newCDPSession(page);
await devtools.send("Network.enable");
await devtools.send("Performance.enable");
let delivered = 0, frames = 0;
devtools.on("Network.webSocketFrameReceived", ({ response }) => {
  const frame = JSON.parse(response.payloadData);
  if (!frame.seats) return;
  frames += 1;
  delivered += frame.seats.length;
});
/** Periods, by the page's clock, in which the measurement itself blocked the page. */
const measured = [];
const pageTime = () => page.evaluate(() => performance.now());

async function sample(begun) {
  const from = await pageTime();
  await devtools.send("HeapProfiler.collectGarbage");
  measured.push([from, await pageTime()]);
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners } = await devtools.send("Memory.getDOMCounters");
  const at = Math.round((performance.now() - begun) / 1000);
  console.log(`${String(at).padStart(4)} s  heap ${(usedSize / 1e6).toFixed(2)} MB  ${nodes} nodes  ${jsEventListeners} listeners  ${await page.locator(".row").count()} rows  ${delivered} changes in ${frames} frames`);
  return usedSize;
}

/** Returns the seconds for which the page's main thread has been busy so far. */
async function busy() {
  const { metrics } = await devtools.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration").value;
}

const words = ["math", "biol 1", "instructor 7", "chem 13", ""];
let step = 0;
/** Does one step of a student who searches and scrolls. */
async function use() {
  step += 1;
  if (step % 4 === 0) await page.fill("#q", words[(step / 4) % words.length]);
  else await page.evaluate((by) => scrollBy(0, by), step % 8 < 4 ? 3000 : -2500);
}

await devtools.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
const begun = performance.now();
const crowd = new Crowd(hub, "bench", { perSecond: CHANGES });
await sample(begun);
const changingFrom = await pageTime();
const running = crowd.run(SECONDS);
const done = running.then(() => true);
/** The heap after the warm-up, which is the first sample under load, and at the end. */
let warm, last;
const busySince = await busy();
for (let over = false; !over;) {
  for (const next = performance.now() + SAMPLE_S * 1000; !over && performance.now() < next;) {
    over = await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1000, false))]);
    if (!over) await use();
  }
  last = await sample(begun);
  warm ??= last;
}
const made = await running;
const busyFor = await busy() - busySince;
const longTasks = await page.evaluate(() => window.longTasks);
await chrome.close();
await hub.end();

const isOfMeasurement = ({ startTime, duration }) => measured.some(([from, to]) => startTime < to && startTime + duration > from);
const loading = longTasks.filter(({ startTime }) => startTime < changingFrom);
const changing = longTasks.filter((task) => !loading.includes(task));
const long = changing.filter((task) => task.duration > LONG_MS && !isOfMeasurement(task));
const grown = (last - warm) / 1e6;
const list = (all) => all.length ? `${all.length}: ${all.map(({ duration }) => duration).sort((a, b) => b - a).slice(0, 10).join(", ")} ms` : "none";
const hasChanged = delivered > 0 && made.changes > 0;
const verdict = (good) => good ? "good" : "BAD";
const table = [
  ["seats changed", `${(made.changes / made.seconds).toFixed(0)} of ${CHANGES} a second, ${made.failed} requests failed`, ""],
  ["reached the page", `${(delivered / made.seconds).toFixed(0)} a second in ${(frames / made.seconds).toFixed(1)} frames`, verdict(hasChanged)],
  ["long tasks while loading", list(loading), ""],
  [`tasks over ${LONG_MS} ms while seats changed`, list(long), verdict(!long.length)],
  ["tasks of the measurement itself", list(changing.filter(isOfMeasurement)), ""],
  ["main thread busy", `${(100 * busyFor / made.seconds).toFixed(1)}% of the time`, ""],
  [`heap after warm-up, at the end (+${GROWTH_MAX_MB} MB)`, `${(warm / 1e6).toFixed(2)} MB, ${(last / 1e6).toFixed(2)} MB (${grown < 0 ? "" : "+"}${grown.toFixed(2)} MB)`, verdict(grown <= GROWTH_MAX_MB)],
];
console.log(`\n${SECTIONS} sections, ${SECONDS} seconds`);
for (const [name, value, good] of table) console.log(`  ${name.padEnd(38)} ${value.padEnd(52)} ${good}`.trimEnd());
// On an overloaded machine, tasks are long because they wait for a processor.
if (long.length && loadavg()[0] > 1.5 * availableParallelism()) console.log(`  The load of this machine was ${loadavg()[0].toFixed(0)} on ${availableParallelism()} processors: measure again when it is idle.`);
// A run without changes proves nothing.
process.exitCode = hasChanged && !long.length && grown <= GROWTH_MAX_MB ? 0 : 1;
