// The student's page while the seats of a large college move: what reaches it, what holds it up, what it keeps.
// SECONDS (300), CHANGES a second (500) and how many times SLOWER (1) the page's processor is, as a phone's may be, can
// be set. Nothing here judges: it prints.

import { browser, Hub, open, until } from "./support.mjs";
import { Crowd, lines, SECTIONS, SETTINGS } from "./crowd.mjs";

const SECONDS = Number(process.env.SECONDS ?? 300);
const CHANGES = Number(process.env.CHANGES ?? 500);
const SLOWER = Number(process.env.SLOWER ?? 1);
const LOOK_S = 15;
/** A task longer than this is felt. */
const LONG_MS = 50;
const TRACED = ["disabled-by-default-lighthouse"];

const [hub, chrome] = await Promise.all([Hub.start(SETTINGS), browser()]);
await hub.term("bench", lines());
const script = "window.longTasks = []; new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ startTime, duration }) => ({ startTime, duration })))).observe({ type: 'longtask', buffered: true });";
const context = { user: "student", width: 1280, height: 800, reducedMotion: "no-preference", script };
await hub.ask("student", "PUT", "/api/v1/me/plan", { sections: ["bench-10001", "bench-10026", "bench-10700"] });
const page = await open(chrome, hub, "/?term=bench", context);
const whole = (count) => until(page, (count) => document.querySelector("#found").textContent.startsWith(count), count);
await whole(SECTIONS.toLocaleString("en-US"));
await until(page, () => document.querySelectorAll("#subject option").length > 5);

const devtools = await page.context().newCDPSession(page);
await devtools.send("Network.enable");
let delivered = 0, frames = 0;
devtools.on("Network.webSocketFrameReceived", ({ response }) => {
  const frame = JSON.parse(response.payloadData);
  if (!frame.seats) return;
  frames += 1;
  delivered += frame.seats.length;
});
const loading = await page.evaluate(() => longTasks.splice(0));
console.log(`${SECTIONS} sections loaded; long tasks meanwhile: ${loading.map(({ duration }) => `${duration} ms`).join(", ") || "none"}`);

async function look(begun) {
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  const { nodes, jsEventListeners } = await devtools.send("Memory.getDOMCounters");
  const at = Math.round((performance.now() - begun) / 1000);
  console.log(`${String(at).padStart(4)} s  heap ${(usedSize / 1e6).toFixed(2)} MB  ${nodes} nodes  ${jsEventListeners} listeners  ${await page.locator(".row").count()} rows  ${delivered} changes in ${frames} frames`);
  return usedSize;
}

/** Tasks of the page's main thread out of a trace: how long each took, and how much of that on a processor. */
function tasksOf(trace) {
  const { traceEvents } = JSON.parse(trace);
  const main = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => `${pid} ${tid}`));
  return traceEvents.filter(({ name, ph, pid, tid }) => ph === "X" && /RunTask$/.test(name) && main.has(`${pid} ${tid}`)).map(({ dur, tdur }) => ({ wall: dur / 1000, cpu: (tdur ?? 0) / 1000 }));
}

const words = ["math", "biol 1", "instructor 7", "chem 13", ""];
let step = 0;
/** What somebody does who looks for a section. */
async function use() {
  step += 1;
  if (step % 4 === 0) await page.fill("#q", words[(step / 4) % words.length]);
  else await page.evaluate((by) => scrollBy(0, by), step % 8 < 4 ? 3000 : -2500);
}

await devtools.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
const begun = performance.now();
const crowd = new Crowd(hub, "bench", { perSecond: CHANGES });
await look(begun);
const running = crowd.run(SECONDS);
const done = running.then(() => true);
/** What a page needs to get going is there at the first look after the beginning. */
let warm, last;
let tasks = 0, cpu = 0;
const slow = [];
for (let over = false; !over;) {
  await chrome.startTracing(page, { categories: TRACED });
  for (let s = 0; s < LOOK_S && !over; s += 1) {
    over = await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1000, false))]);
    if (!over) await use();
  }
  for (const one of tasksOf(await chrome.stopTracing())) {
    tasks += 1;
    cpu += one.cpu;
    if (one.wall > LONG_MS || one.cpu > LONG_MS) slow.push(one);
  }
  last = await look(begun);
  warm ??= last;
}
const made = await running;
await page.fill("#q", "");
const long = await page.evaluate(() => longTasks);
const list = (all, say) => all.sort((a, b) => say(b)[0] - say(a)[0]).slice(0, 20).map((one) => say(one)[1]).join(", ") || "none";
console.log(`made ${(made.changes / made.seconds).toFixed(0)} changes a second (${made.failed} requests failed), delivered ${(delivered / made.seconds).toFixed(0)} a second in ${(frames / made.seconds).toFixed(1)} frames`);
console.log(`long tasks that the page saw (PerformanceObserver): ${long.length}: ${list(long, ({ duration }) => [duration, `${duration} ms`])}`);
console.log(`of ${tasks} tasks in the trace, over ${LONG_MS} ms: ${slow.length}, of processor time ${slow.filter((one) => one.cpu > LONG_MS).length}: ${list(slow, ({ wall, cpu }) => [cpu, `${wall.toFixed(0)} ms (${cpu.toFixed(0)} ms of processor)`])}`);
console.log(`main thread busy for ${(cpu / 10 / made.seconds).toFixed(1)} % of the time; heap ${((last - warm) / 1e6).toFixed(2)} MB larger than at the first look`);
await chrome.close();
await hub.end();
