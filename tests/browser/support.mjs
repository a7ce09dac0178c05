// Support for the browser tests: hubs, terms, and pages in a real Chromium.

import { execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach } from "node:test";
import { chromium } from "playwright-core";

const ROOT = path.resolve(import.meta.dirname, "../..");
/** The hub under test. */
export const HUB = process.env.EDUHUB_BIN ?? path.join(ROOT, "target/debug/eduhub");
/** The path of Chromium. The headless shell has no windows or menus, and needs a quarter less processor time. */
const CHROMIUM = [process.env.CHROMIUM, ...["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"].map((name) => `/usr/bin/${name}`)]
  .find((one) => one && existsSync(one));
/** The timeout of every wait: generous, since a test machine may be busy. */
export const WAIT_MS_MAX = 90_000;
/** Delays each request of a page to the API by up to this time, which reveals tests that do not wait for responses. */
const API_DELAY_MS_MAX = Number(process.env.API_DELAY_MS_MAX ?? 0);
/** Delays changes of view and timers of a page by this time, which reveals tests that do not wait for them. */
const PAGE_DELAY_MS = Number(process.env.PAGE_DELAY_MS ?? 0);
const PASSWORD = "eduhub-demo";

/**
 * The range of ports for test servers, the end excluded. Linux uses the ports from 32768 up for outgoing connections:
 * one of them could take the port of a stopped server, which could then not restart.
 */
const PORTS = [10_000, 32_768];
const PORTS_TRIED_MAX = 100;

/** Returns a free port, which outgoing connections do not take while its server is stopped. */
export async function freePort() {
  for (let tried = 0; tried < PORTS_TRIED_MAX; tried += 1) {
    const port = randomInt(...PORTS);
    const server = createServer();
    const isFree = await new Promise((resolve) => server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true)));
    if (!isFree) continue;
    await new Promise((resolve) => { server.close(resolve); });
    return port;
  }
  throw new Error(`none of ${PORTS_TRIED_MAX} ports is free`);
}

/** A hub with a store of its own, by default with the demonstration college and its accounts. */
export class Hub {
  /** Starts a hub with these settings, on `port` or on a free one. */
  static async start(settings = {}, port, command = ["serve", "--demo"]) {
    if (!existsSync(HUB)) throw new Error(`No hub at ${HUB}: run cargo build first.`);
    const hub = new Hub();
    hub.command = command;
    hub.folder = mkdtempSync(path.join(tmpdir(), "eduhub-browser-"));
    hub.port = port ?? await freePort();
    hub.url = `http://127.0.0.1:${hub.port}`;
    hub.settings = settings;
    hub.tokens = new Map();
    await hub.run();
    return hub;
  }

  /** Starts a hub without accounts, terms or sections, and mints a token for `admin`. */
  static async startEmpty(settings = {}) {
    const hub = await Hub.start(settings, undefined, ["serve"]);
    hub.mint("admin", "admin");
    return hub;
  }

  /** Starts the hub; after `stop`, restarts it with the same store and address. */
  run() {
    // EDUHUB_BIN is a variable of these tests. The hub would reject it as an unknown setting.
    const { EDUHUB_BIN: _, ...inherited } = process.env;
    this.env = {
      ...inherited, EDUHUB_SERVER__BIND: `127.0.0.1:${this.port}`, EDUHUB_STORE__URL: `sqlite:${this.folder}/hub.db`,
      EDUHUB_LIMITS__LOGIN_PER_MINUTE: "0", EDUHUB_LIMITS__REQUESTS_PER_SECOND: "0", EDUHUB_LOG__FILTER: "warn",
      EDUHUB_COLLEGE__NAME: "Riverside College", EDUHUB_COLLEGE__TIMEZONE: "America/New_York", ...this.settings,
    };
    this.process = spawn(HUB, this.command, { env: this.env, cwd: this.folder, stdio: ["ignore", "pipe", "inherit"] });
    return new Promise((resolve, reject) => {
      let output = "";
      this.process.once("exit", (code) => reject(new Error(`the hub exited with ${code}: ${output}`)));
      this.process.stdout.on("data", (data) => {
        output += data;
        if (output.includes("EduHub is ready")) resolve();
      });
    });
  }

  stop(signal = "SIGKILL") {
    return new Promise((resolve) => {
      this.process.removeAllListeners("exit");
      this.process.once("exit", resolve);
      this.process.kill(signal);
    });
  }

  /** Stops the hub and removes its folder. */
  async end() {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async token(user) {
    if (!this.tokens.has(user)) {
      const response = await fetch(`${this.url}/api/v1/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ username: user, password: PASSWORD }) });
      if (!response.ok) throw new Error(`${user} could not sign in: ${response.status} ${await response.text()}`);
      this.tokens.set(user, (await response.json()).token);
    }
    return this.tokens.get(user);
  }

  /** Creates a token for a user without an account. `more` are additional arguments of `eduhub token`. */
  mint(user, role, ...more) {
    const token = execFileSync(HUB, ["token", "--subject", user, "--role", role, ...more], { env: this.env, cwd: this.folder, encoding: "utf8" });
    this.tokens.set(user, token.trim());
  }

  /** Sends a request as a user and returns the parsed response. `body` is sent as JSON unless `type` says otherwise. */
  async ask(user, method, where, body, type = "application/json") {
    const headers = { Authorization: `Bearer ${await this.token(user)}`, ...(body === undefined ? {} : { "Content-Type": type }) };
    const response = await fetch(this.url + where, { method, headers, body: body === undefined || type !== "application/json" ? body : JSON.stringify(body) });
    const text = await response.text();
    return text ? JSON.parse(text) : {};
  }

  /**
   * Creates a term from lines of a schedule. `opensIn` is in seconds from now; a negative number opens the term. `more`
   * are the names of additional columns.
   */
  async term(id, lines, { opensIn = -60, title = id, more = [] } = {}) {
    await this.ask("staff", "PUT", `/api/v1/terms/${id}`, { title, opens_at: new Date(Date.now() + opensIn * 1000).toISOString() });
    const csv = [["crn,course,title,section,component,credits,capacity,waitlist_capacity,days,time,instructor", ...more].join(","), ...lines, ""].join("\n");
    const { task } = await this.ask("staff", "POST", `/api/v1/imports?term=${id}`, csv, "text/csv");
    for (const begun = Date.now(); ;) {
      if (Date.now() - begun > WAIT_MS_MAX) throw new Error("the import of the schedule timed out");
      const { state, errors } = await this.ask("staff", "GET", `/api/v1/imports/${task}`);
      if (state === "done") return id;
      if (state !== "running") throw new Error(`the import of the schedule is ${state}: ${JSON.stringify(errors)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Returns the registrations of a student in a term, as `CRN status`, sorted. */
  async registrations(user, term) {
    const { items } = await this.ask(user, "GET", `/api/v1/me/registrations?term=${term}`);
    return items.map(({ section, status }) => `${section.slice(term.length + 1)} ${status}`).sort();
  }
}

// Closes all browsers that a test file has launched. Otherwise a test file whose hub does not start would never end.
const launched = [];
after(() => Promise.allSettled(launched.map(async (one) => (await one).close())));

/** Launches a browser that sends no background requests. */
export async function browser(...more) {
  if (!CHROMIUM) throw new Error("The browser tests need Chromium: install it (apt-get install chromium) or set CHROMIUM to its path.");
  const one = chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run", ...more] });
  launched.push(one);
  return one;
}

/** The contexts that a test has opened. They are closed after it. */
const opened = new Set();
afterEach(async () => {
  const contexts = [...opened];
  opened.clear();
  await Promise.all(contexts.map((context) => context.close()));
});

/** Delays the timers and the changes of view of a page by `ms`. Runs before the page's scripts. */
function delayPage(ms) {
  const setNow = window.setTimeout.bind(window);
  window.setTimeout = (then, after = 0, ...rest) => setNow(then, after + ms, ...rest);
  const delayed = new WeakSet();
  addEventListener("hashchange", (event) => {
    if (delayed.has(event)) return;
    event.stopImmediatePropagation();
    const again = new HashChangeEvent("hashchange", { oldURL: event.oldURL, newURL: event.newURL });
    delayed.add(again);
    setNow(() => dispatchEvent(again), ms);
  }, true);
}

/**
 * Opens a page as a user, or with the session cookie `cookie`; as a visitor without either. Script errors and
 * violations of the Content-Security-Policy are in `page.wrong`; console messages, responses of status 400 and above,
 * and failed requests are in `page.logged`.
 */
export async function open(chrome, hub, where, { user, cookie, width = 1280, height = 800, locale = "en-US", colorScheme = "light", bypassCSP = false, reducedMotion = "reduce", javaScriptEnabled = true, script } = {}) {
  const context = await chrome.newContext({ viewport: { width, height }, locale, colorScheme, bypassCSP, reducedMotion, javaScriptEnabled });
  opened.add(context);
  context.on("close", () => opened.delete(context));
  context.setDefaultTimeout(WAIT_MS_MAX);
  if (script) await context.addInitScript(script);
  if (PAGE_DELAY_MS) await context.addInitScript(delayPage, PAGE_DELAY_MS);
  if (API_DELAY_MS_MAX) await context.route(/\/api\//, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * API_DELAY_MS_MAX));
    await route.continue();
  });
  if (user) cookie = await hub.token(user);
  if (cookie) await context.addCookies([{ name: "eduhub_session", value: cookie, url: hub.url, httpOnly: true, sameSite: "Lax" }]);
  const page = await context.newPage();
  page.wrong = [];
  page.logged = [];
  page.on("console", (message) => page.logged.push(`console ${message.type()}: ${message.text()} (${message.location().url})`));
  page.on("response", (response) => response.status() >= 400 && page.logged.push(`${response.status()} ${response.request().method()} ${response.url()}`));
  page.on("requestfailed", (request) => page.logged.push(`${request.failure()?.errorText} ${request.method()} ${request.url()}`));
  page.broken = new Promise((_, reject) => {
    const wrong = (what, text) => {
      page.wrong.push(text);
      reject(new Error(`${what}: ${text}`));
    };
    page.on("pageerror", (error) => wrong("a script of the page failed", error.stack || String(error)));
    page.on("console", (message) => /Content.Security.Policy/i.test(message.text()) && wrong("the page violates its Content-Security-Policy", message.text()));
  });
  // `until` reports the rejection. If no `until` is waiting, the rejection must not end the process.
  page.broken.catch(() => {});
  await page.goto(hub.url + where);
  return page;
}

/** Waits until `test`, run in the page, returns a true value. Rejects at once if a script of the page fails. */
export const until = (page, test, argument) =>
  Promise.race([page.waitForFunction(test, argument, { timeout: WAIT_MS_MAX }), ...(page.broken ? [page.broken] : [])]);

/** Waits for this number of search results. */
export const rows = (n) => (page) => until(page, (n) => document.querySelectorAll(".row").length === n, n);
/** Returns the search result that contains this text, or that matches this pattern. */
export const row = (page, text) => page.locator(".row", { hasText: text });

/** Presses Tab until the focus is on an element that matches `selector`. */
export async function tabTo(page, selector) {
  for (let presses = 0; presses < 200; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  throw new Error(`Tab did not reach ${selector}`);
}

/** Returns a file for a file input. */
export const csvFile = (text, name = "schedule.csv") => ({ name, mimeType: "text/csv", buffer: Buffer.from(text) });

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Returns the violations of WCAG 2.2 A and AA that axe-core finds, as texts. `open` needs the option `bypassCSP`. */
export async function violations(page) {
  await page.evaluate((source) => { if (!window.axe) (0, eval)(source); }, AXE);
  const { violations: found } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)}`));
}
