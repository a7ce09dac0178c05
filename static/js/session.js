// Who is here: the sign-in form, the name in the header, signing out, the language, and the state of the connection.

import { $, button, field, h, put } from "./dom.js";
import { api, passes, pause } from "./api.js";
import { offered, now, onLanguage, speak, t } from "./i18n.js";
import { Live } from "./live.js";
import { clock, sentence } from "./words.js";

const PAGES = [["/", "nav.student", null], ["/staff", "nav.staff", "staff"], ["/admin", "nav.admin", "admin"]];
const RANK = { student: 1, staff: 2, admin: 3 };
const NAMES = { en: "English", es: "Español" };

/** Whether `user` may do what `role` may. */
export const may = (user, role) => (RANK[user?.role] ?? 0) >= RANK[role];

/**
 * Starts a page: finds out who is here, opens the live connection, and calls `onuser(user | null)` now and whenever
 * that changes. `form` is where the sign-in form stands while nobody is signed in; `why()` may say what it is for;
 * `before()` is awaited before somebody signs out; `onstate()` hears of each new state of the connection.
 */
export function start({ form, onuser, why = () => null, before = () => null, onstate = () => null }) {
  let user, ending = false, cleared = false, shown = ["reconnecting", 0];
  // Only the state itself is read out: the time that stands beside it is another with each answer.
  const state = { words: h("span", { role: "status" }), asOf: h("span"), more: h("span") };
  $("live").removeAttribute("role");
  put($("live"), state.words, state.asOf, state.more);
  const live = new Live({ onstate: (name, heard) => { showState(name, heard); onstate(); } });

  /** Asks the hub who is signed in and shows it; `said` stands in the sign-in form when nobody is. */
  async function load(said) {
    let found;
    try {
      // For a visitor this answers 200: an error status here would stand in the console of every visit.
      found = (await api.get("/api/v1/session")).user;
    } catch (problem) {
      if (passes(problem)) pause(problem).then(() => load(said));
      return note(sentence(problem), "start");
    }
    unnote("start");
    become(found, said);
  }

  function become(found, said) {
    if (user !== undefined && user?.username === found?.username && user?.role === found?.role) return;
    user = found;
    header(user);
    put(form, user ? null : signIn(said));
    form.hidden = Boolean(user);
    api.who += 1;
    live.restart();
    onuser(user);
  }

  function signIn(said) {
    const username = h("input", { name: "username", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" });
    const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
    const answer = h("p", { role: "status", class: said ? "careful" : "" }, said);
    const press = h("button", { class: "primary wide" }, t("sign.in"));
    const hint = h("p", { class: "none" });
    collegeAccount().then((works) => works && put(hint, t("sign.college")));
    const onsubmit = async (event) => {
      event.preventDefault();
      press.disabled = true;
      answer.className = "";
      put(answer, t("sign.doing"));
      try {
        become((await api.post("/api/v1/login", { username: username.value.trim(), password: password.value })).user);
      } catch (problem) {
        answer.className = "stop";
        put(answer, sentence(problem));
        press.disabled = false;
        password.select();
      }
    };
    return h("form", { class: "sign-in", onsubmit }, h("h2", null, t("sign.in")), h("p", { class: "none why" }, why()),
      field(t("sign.name"), username), field(t("sign.password"), password), hint, press, answer);
  }

  async function signOut() {
    try {
      await before();
      await api.post("/api/v1/logout");
    } catch (problem) {
      if (problem.status !== 401) return note(sentence(problem));
    }
    become(null);
  }

  /**
   * The token ended, or seems to have. The hub clears its cookie and says who is signed in now: nobody, or a user who
   * has signed in again in another window.
   */
  async function ended() {
    if (!user || ending) return;
    ending = true;
    await load(t("sign.ended"));
    ending = false;
    // The WebSocket had the earlier token and stays closed. The pause bounds the rate of retries if it is refused again.
    if (user && live.state === "signed-out") pause({}).then(() => live.state === "signed-out" && live.restart());
  }

  /** A cookie that is no longer valid keeps a visitor from opening the WebSocket: the hub clears it, once. */
  async function visit() {
    if (cleared) return;
    cleared = true;
    await load();
    if (!user) live.restart();
  }

  function header(user) {
    const pages = PAGES.filter(([, , role]) => !role || may(user, role));
    // One page needs no way to others.
    put($("nav"), pages.length > 1 && pages.map(([href, label]) => h("a", { href, "aria-current": href === location.pathname ? "page" : null }, t(label))));
    $("nav").hidden = pages.length < 2;
    const toForm = () => setTimeout(() => form.querySelector("input")?.focus());
    put($("who"), !user ? h("a", { href: "#term", class: "button", onclick: toForm }, t("sign.in"))
      : [h("span", { title: t(`role.${user.role}`) }, user.name || user.username), button(t("sign.out"), signOut, { class: "quiet" })]);
    const other = offered.find((one) => one !== now.language);
    if ($("language")) put($("language"), other && button(NAMES[other], () => speak(other, { chosen: true }), { class: "quiet", lang: other }));
  }

  function showState(name, heard) {
    const repeated = shown[0] === name;
    shown = [name, heard];
    const [tone, text] = {
      live: ["good", t("live.live")],
      polling: ["careful", t("live.polling")],
      offline: ["stop", t("live.offline")],
      ended: ["stop", t("live.ended")],
      "signed-out": ["careful", t("live.signed_out")],
    }[name] ?? ["careful", heard ? t("live.reconnecting") : t("live.connecting")];
    $("live").className = tone;
    $("live").dataset.state = name;
    if (state.words.textContent !== text) state.words.textContent = text;
    state.asOf.textContent = heard && ["polling", "offline", "reconnecting"].includes(name) ? `, ${t("live.as_of", { at: clock(heard) })}` : "";
    put(state.more, name === "ended" && button(t("live.again"), () => live.restart(), { class: "quiet" }));
    if (repeated) return;
    if (name === "signed-out") user ? ended() : visit();
    // Ended by an administrator, or signed out in another window: then nobody is signed in here either.
    if (name === "ended" && user) ended();
  }

  api.signedOut = ended;
  // Another window may have signed somebody else in, or out.
  live.on("welcome", (frame) => (frame.user?.username ?? frame.user ?? null) !== (user?.username ?? null) && load());
  onLanguage(() => {
    if (user === undefined) return;
    header(user);
    if (!user) put(form, signIn());
    showState(...shown);
  });
  load();
  return live;
}

/** Whether the college's Plone signs people in; asked once. */
let asked;
const collegeAccount = () => asked ??= fetch("/readyz").then((response) => response.json())
  .then(({ plone }) => plone !== undefined && plone !== "off", () => { asked = undefined; return false; });

/** A short word at the foot of the page about something that went wrong outside of any form; `about` may name it. */
export function note(text, about = "") {
  $("note").dataset.about = about;
  put($("note"), h("p", null, h("span", null, text), button(t("do.close"), () => put($("note")), { class: "quiet" })));
}

/** Takes the note about this down: it is so no more. */
export function unnote(about) {
  if ($("note").dataset.about === about) put($("note"));
}

/** Tells the styles how high what is stuck to the top is: nothing may hide under it. */
export function measureTop() {
  const tell = () => {
    document.documentElement.style.setProperty("--urgent", `${$("urgent").offsetHeight}px`);
    document.documentElement.style.setProperty("--head", `${document.querySelector("header").offsetHeight}px`);
  };
  const sizes = new ResizeObserver(tell);
  for (const el of [$("urgent"), document.querySelector("header")]) sizes.observe(el);
}

/**
 * Views of a page, chosen by the address after `#`; links to them are in `#views`. While `oneByOne()`, each is scrolled
 * by itself.
 */
export function views(first, oneByOne = () => false) {
  const places = new Map();
  let shown = "";
  const show = () => {
    const links = [...$("views").children];
    const chosen = links.some((link) => link.hash === location.hash) ? location.hash : `#${first}`;
    if (chosen === shown) return;
    places.set(shown, scrollY);
    shown = chosen;
    for (const link of links) {
      if (link.hash === chosen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const view of document.querySelectorAll("[data-view-name]")) view.classList.toggle("away", `#${view.dataset.viewName}` !== chosen);
    document.body.dataset.view = chosen.slice(1);
    if (oneByOne()) scrollTo(0, places.get(chosen) ?? 0);
  };
  addEventListener("hashchange", show);
  show();
}
