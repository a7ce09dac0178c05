// The first steps of a hub without sections: what an administrator sets up, and what is done already. Each step reads
// its state from the hub, so that it can be left and continued later, here or elsewhere.

import { $, button, h, put } from "../dom.js";
import { api, query } from "../api.js";
import { i18n, t } from "../i18n.js";
import { icon } from "../icons.js";
import { Poller } from "../poll.js";
import { dateTime, joinList, problemText } from "../words.js";

/** How often the state of the steps is read while they are shown. */
const REFRESH_MS = 10_000;
/** How many terms are searched for sections. */
const TERMS_MAX = 5;
/** How many users are searched for people who can sign in. A hub with more users has such people. */
const USERS_MAX = 100;
/** The default name of the college in the settings. */
const DEFAULT_NAME = "Example College";
/** Whether the steps have begun, or are hidden, in this browser. */
const KEY = "eduhub.first-steps";
const TEST_ALERT_MS = 3_600_000;
/**
 * Returns the settings of single sign-on for an OpenID Connect provider. The college replaces the examples and the
 * ellipses.
 */
const ssoLines = () => `[server]
public_url = "${location.origin}"

[auth.oidc.college]
issuer = "…"
client_id = "eduhub"
client_secret = "…"
title = "${t("setup.sso.title")}"

[roles]
admin = ["group:eduhub-admins"]
staff = ["group:registrars"]
student = ["group:students"]`;

/** Returns the time zone of this browser, or an example if that names no place, such as `UTC`. */
const likelyZone = () => {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return timeZone.includes("/") ? timeZone : "America/New_York";
};

/**
 * Returns the numbers of users who can sign in, and of those other than the reader. Programs such as
 * `eduhub user add`, which creates the first account, have only tokens.
 */
function countUsers({ items, next, total }, reader) {
  const people = items.filter(({ source }) => source !== "token");
  const others = people.filter(({ username }) => username !== reader);
  return next ? { users: total, others: total } : { users: people.length, others: others.length };
}

/** Returns whether each step is done, by what the hub contains. */
const stepsDone = ({ college, terms, sections, others, providers, plone, alerts }) => ({
  college: college.name !== DEFAULT_NAME,
  term: terms > 0,
  schedule: sections > 0,
  people: others > 0 || providers.length > 0 || plone,
  alert: alerts > 0,
});

function stored() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

export class FirstSteps {
  #user = null;
  /** Whether the steps have begun or are hidden: `begun`, `hidden`, or null. */
  #state = stored();
  /** The contents of the hub; null before the first response. */
  #hub = null;
  #shown = "";
  /** Whether the reader has opened the settings of single sign-on. */
  #isSsoOpen = false;
  /** The test alert of this page: its id, and when it arrived. */
  #test = null;
  /** The id of the last alert that arrived: it may arrive before the response that has its id. */
  #arrived = null;
  #poller = new Poller((signal) => this.#read(signal), {
    ms: REFRESH_MS,
    isNeeded: () => document.body.dataset.view === "now" && this.#state !== "hidden" && (!this.#hub || this.#isOpen()),
    onerror: (problem) => put($("first-steps-status"), problemText(problem)),
  });

  constructor(live) {
    live.on("alert", ({ alert }) => {
      this.#arrived = { id: alert.id, at: Date.now() };
      this.#noteArrival();
    });
    addEventListener("hashchange", () => this.#poller.soon());
  }

  run(running, user) {
    this.#user = running ? user : null;
    this.#hub = null;
    this.#test = null;
    $("first-steps").hidden = true;
    if (running) this.#poller.start();
    else this.#poller.stop();
  }

  /**
   * Returns whether the steps are shown: from the time when the hub has no sections until an administrator hides them.
   */
  #isOpen() {
    return this.#state === "begun" || (this.#state === null && this.#hub?.sections === 0);
  }

  #setState(state) {
    this.#state = state;
    try { localStorage.setItem(KEY, state); } catch { /* Storage is unavailable. */ }
  }

  async #read(signal) {
    const get = (path) => api.get(path, { signal });
    const { items: terms, college } = await get("/api/v1/terms");
    let sections = 0;
    for (const { id } of terms.slice(0, TERMS_MAX)) {
      sections ||= (await get(`/api/v1/sections${query({ term: id, limit: 1 })}`)).total;
    }
    this.#hub = { college, terms: terms.length, sections };
    if (this.#isOpen()) {
      const [users, sign, alerts] = await Promise.all([get(`/api/v1/admin/users${query({ limit: USERS_MAX })}`), get("/api/v1/auth/providers"), get("/api/v1/alerts?since=0&limit=1")]);
      Object.assign(this.#hub, countUsers(users, this.#user.username), { providers: sign.providers.map(({ id, title }) => title || id), plone: sign.plone, alerts: alerts.items.length });
      this.#setState("begun");
      put($("first-steps-status"));
    }
    this.#draw();
  }

  #draw() {
    const isOpen = this.#isOpen() && this.#hub.users !== undefined;
    $("first-steps").hidden = !isOpen;
    const state = JSON.stringify([i18n.language, isOpen, this.#hub, this.#test]);
    if (!isOpen || state === this.#shown) return;
    this.#shown = state;
    const done = stepsDone(this.#hub);
    const left = Object.values(done).filter((one) => !one).length;
    put($("first-steps-left"), left ? t("setup.left", { n: left }) : t("setup.done"));
    put($("first-steps-list"), Object.entries(done).map(([name, isDone]) => h("li", { class: isDone ? "good" : null, "data-step": name },
      h("h3", null, isDone && icon("check"), t(`setup.${name}`), isDone && h("span", { class: "unseen" }, ` (${t("setup.step_done")})`)), this.#content(name, isDone))));
    put($("first-steps-end"), button(t(left ? "setup.hide" : "setup.close"), () => this.#hide(), { class: "plain" }));
  }

  #hide() {
    this.#setState("hidden");
    this.#draw();
    $("health").tabIndex = -1;
    $("health").focus();
  }

  /** Returns the text and the actions of a step. */
  #content(name, isDone) {
    const { college, terms, sections, users, providers, plone } = this.#hub;
    const text = (key, values) => h("p", null, t(key, values));
    const link = (to, key) => h("p", null, h("a", { href: to }, t(key)));
    const lines = (label, value) => h("pre", { tabindex: 0, role: "group", "aria-label": t(label) }, value);
    switch (name) {
      case "college":
        if (isDone) return text("setup.college.is", { name: college.name, zone: college.timezone });
        return [text("setup.college.set", { name: college.name, zone: college.timezone }),
          lines("setup.college.lines", `[college]\nname = "Riverside College"\ntimezone = "${likelyZone()}"`)];
      case "term":
        return isDone ? text("setup.term.is", { n: terms }) : [text("setup.term.add"), link("/staff#terms", "setup.term.go")];
      case "schedule":
        return isDone ? text("setup.schedule.is", { n: sections }) : [text("setup.schedule.add"), link("/staff#import", "setup.schedule.go")];
      case "people":
        return [isDone ? text("setup.people.is", { n: users, ways: joinList([plone && "Plone", ...providers].filter(Boolean)) || t("setup.people.accounts") }) : text("setup.people.add"), link("#people", "setup.people.go"),
          !providers.length && h("details", { open: this.#isSsoOpen, ontoggle: ({ target }) => { this.#isSsoOpen = target.open; } }, h("summary", null, t("setup.sso")), text("setup.sso.proxy"), text("setup.sso.client"), lines("setup.sso.uri", `${location.origin}/auth/college/callback`),
            text("setup.sso.set"), lines("setup.college.lines", ssoLines()), text("setup.sso.more", { title: t("setup.sso.title") }))];
      default:
        return [text("setup.alert.about"), h("p", null, button(t("setup.alert.send"), () => this.#sendTest()), " ", h("span", { id: "first-steps-test", role: "status" }, this.#testText()))];
    }
  }

  #testText() {
    if (!this.#test) return "";
    return this.#test.at ? t("setup.alert.arrived", { at: dateTime(this.#test.at) }) : t("setup.alert.sent");
  }

  async #sendTest() {
    const expires_at = new Date(Date.now() + TEST_ALERT_MS).toISOString();
    try {
      const { id } = await api.post("/api/v1/alerts", { title: t("setup.alert.title"), message: t("setup.alert.message"), priority: "low", audience: { users: [this.#user.username] }, expires_at });
      this.#test = { id, at: null };
      this.#hub.alerts = 1;
      this.#noteArrival();
      this.#draw();
    } catch (problem) {
      put($("first-steps-test"), problemText(problem));
    }
  }

  #noteArrival() {
    if (!this.#test || this.#test.at || this.#arrived?.id !== this.#test.id) return;
    this.#test.at = this.#arrived.at;
    this.#draw();
  }
}
