// What all pages share: the sign-in form, the header with user, language and connection state, notes, and views.

import { $, button, field, h, markInvalid, openView, put } from "./dom.js";
import { api, isTransient, waitBeforeRetry } from "./api.js";
import { icon } from "./icons.js";
import { i18n, LANGUAGE_NAMES, languages, onLanguage, setLanguage, t } from "./i18n.js";
import { Live } from "./live.js";
import { problemText, timeOfDay } from "./words.js";

const PAGES = [["/", "nav.student", null], ["/teaching", "nav.teaching", "instructor"], ["/staff", "nav.staff", "staff"], ["/admin", "nav.admin", "admin"]];
const RANK = { student: 1, instructor: 2, staff: 3, admin: 4 };

/** Returns whether `user` has `role` or a higher one. */
export const hasRole = (user, role) => (RANK[user?.role] ?? 0) >= RANK[role];

/**
 * Starts a page: asks the hub for the user, opens the live connection and returns it, and calls `onuser(user | null)`
 * once the hub has responded and after each change of user. `form` holds the sign-in form of a visitor, with the text
 * `introduction()`. A sign-out waits for `before()`.
 */
export function startPage({ form, onuser, introduction = () => null, before = () => null }) {
  let user, ending = false, cleared = false, shown = ["reconnecting", 0];
  // Screen readers announce only the state, not the time beside it, which changes with each poll.
  const state = { words: h("span", { role: "status" }, t("live.connecting")), asOf: h("span"), more: h("span") };
  $("live").removeAttribute("role");
  // Otherwise a change of language would replace the elements below.
  delete $("live").dataset.t;
  put($("live"), state.words, state.asOf, state.more);
  const live = new Live({ onstate: (name, lastAt) => showState(name, lastAt) });

  /** Reads the signed-in user from the hub. For a visitor, the sign-in form shows `message`. */
  async function load(message) {
    const { epoch } = api;
    let found;
    try {
      // For a visitor this returns 200: an error status would appear in the console on every visit.
      found = (await api.get("/api/v1/session")).user;
    } catch (problem) {
      if (isTransient(problem)) waitBeforeRetry(problem).then(() => load(message));
      return showNote(problemText(problem), "start");
    }
    clearNote("start");
    // A response from before a sign-in or sign-out would undo it.
    if (epoch === api.epoch) setUser(found, message);
  }

  function setUser(found, message) {
    if (user !== undefined && user?.username === found?.username && user?.role === found?.role
      && String(user?.subjects) === String(found?.subjects)) return;
    user = found;
    header(user);
    const hadFocus = form.contains(document.activeElement);
    put(form, user ? null : signInForm(message));
    form.hidden = Boolean(user);
    // The button that was pressed is gone, so the focus moves to where the form was.
    if (user && hadFocus) focusOn(form.closest("[data-view-name], main"));
    if (user) clearNote("expired");
    else if (message && !form.checkVisibility()) showNote(message, "expired", button(t("sign.in"), () => openSignIn(form)));
    api.epoch += 1;
    live.restart();
    onuser(user);
  }

  function signInForm(message) {
    const username = h("input", { name: "username", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" });
    const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
    // Shown only to users who have a second factor.
    const code = h("input", { name: "code", autocomplete: "one-time-code", inputmode: "text", autocapitalize: "none", spellcheck: "false" });
    const codeField = h("div", { hidden: true }, field(t("sign.code"), code));
    const status = h("p", { role: "status", class: message ? "careful" : "" }, message);
    const submit = h("button", { class: "primary wide" }, t("sign.in"));
    const hint = h("p", { class: "none" }), college = h("div", { class: "providers" });
    const fields = [field(t("sign.name"), username), field(t("sign.password"), password), codeField, hint, submit];
    const local = h("div", null, fields);
    waysToSignIn().then((ways) => offer(ways, { college, local, fields, hint, submit }));
    const onsubmit = async (event) => {
      event.preventDefault();
      submit.disabled = true;
      status.className = "";
      put(status, t("sign.pending"));
      try {
        const credentials = { username: username.value.trim(), password: password.value, code: code.value.trim() || undefined };
        setUser((await api.post("/api/v1/login", credentials)).user);
      } catch (problem) {
        status.className = "stop";
        put(status, problemText(problem));
        submit.disabled = false;
        const needsCode = problem.code === "second_factor_required";
        if (needsCode && !problem.field) status.className = "";
        codeField.hidden = !needsCode;
        for (const wrong of { bad_credentials: [username, password], second_factor_required: problem.field ? [code] : [] }[problem.code] ?? []) markInvalid(wrong, status);
        (needsCode ? code : password).select();
      }
    };
    return h("form", { class: "sign-in", onsubmit }, h("h2", null, t("sign.in")), h("p", { class: "none why" }, introduction()),
      college, local, status);
  }

  /** Fills the sign-in form with the ways to sign in that the hub offers. A password is the last one of several. */
  function offer({ password, plone, providers }, { college, local, fields, hint, submit }) {
    if (plone) put(hint, t("sign.college"));
    put(college, providers.map(({ title, url }) => h("a", { class: "button primary wide", href: `${url}?${new URLSearchParams({ next: location.pathname })}` },
      t("sign.by", { title: title || t("sign.by.college") }))));
    if (!providers.length) return;
    submit.classList.remove("primary");
    if (!password) put(local);
    else if (!plone && !local.contains(document.activeElement)) put(local, h("details", null, h("summary", null, t("sign.local")), fields));
  }

  async function signOut() {
    try {
      await before();
      const signedOut = await api.post("/api/v1/logout");
      // The college's sign-in would otherwise sign the next user of this computer in as this one.
      if (signedOut?.end_session) return location.assign(signedOut.end_session);
    } catch (problem) {
      if (problem.status !== 401) return showNote(problemText(problem));
    }
    setUser(null);
  }

  /**
   * Handles a token that has ended. The hub clears its cookie and returns the current user: none, or one who has signed
   * in again in another window.
   */
  async function signInEnded() {
    if (!user || ending) return;
    ending = true;
    await load(t("sign.expired"));
    ending = false;
    // The WebSocket had the earlier token and stays closed. The pause bounds the rate of retries if it is refused
    // again.
    if (user && live.state === "signed-out") waitBeforeRetry({}).then(() => live.state === "signed-out" && live.restart());
  }

  /** Makes the hub clear a visitor's invalid cookie, with which it refuses the WebSocket. Done once. */
  async function clearCookie() {
    if (cleared) return;
    cleared = true;
    await load();
    if (!user) live.restart();
  }

  function header(user) {
    const pages = PAGES.filter(([, , role]) => !role || (role === "instructor" ? user?.role === role || Boolean(user?.subjects) : hasRole(user, role)));
    // A page that the reader cannot use needs a link to one that the reader can use.
    const isShown = pages.length > 1 || (user && pages[0][0] !== location.pathname);
    put($("nav"), isShown && pages.map(([href, label]) => h("a", { href, "aria-current": href === location.pathname ? "page" : null }, t(label))));
    $("nav").hidden = !isShown;
    const toForm = (event) => { event.preventDefault(); openSignIn(form); };
    put($("who"), !user ? h("a", { href: "#term", class: "button", onclick: toForm }, t("sign.in"))
      : [h("a", { href: "/account", "aria-label": `${t("nav.account")}: ${user.name || user.username}` }, icon("person"), h("span", { title: t(`role.${user.role}`) }, user.name || user.username)), button(t("sign.out"), signOut, { class: "quiet" })]);
    const other = languages.find((one) => one !== i18n.language);
    if ($("language")) put($("language"), other && button(LANGUAGE_NAMES[other], () => changeLanguage(other), { class: "quiet", lang: other }));
  }

  function showState(name, lastAt) {
    // Numbers that may be out of date are gray.
    document.body.classList.toggle("stale", Boolean(lastAt) && !["live", "polling"].includes(name));
    const repeated = shown[0] === name;
    shown = [name, lastAt];
    const [tone, text] = {
      live: ["good", t("live.live")],
      polling: ["careful", t("live.polling")],
      offline: ["stop", t("live.offline")],
      ended: ["stop", t("live.ended")],
      "signed-out": ["careful", t("live.signed_out")],
    }[name] ?? ["careful", lastAt ? t("live.reconnecting") : t("live.connecting")];
    $("live").className = tone;
    $("live").dataset.state = name;
    if (state.words.textContent !== text) state.words.textContent = text;
    state.asOf.textContent = lastAt && ["polling", "offline", "reconnecting"].includes(name) ? `, ${t("live.as_of", { at: timeOfDay(lastAt) })}` : "";
    put(state.more, name === "ended" && button(t("live.reconnect"), () => live.restart(), { class: "quiet" }));
    if (repeated) return;
    if (name === "signed-out") user ? signInEnded() : clearCookie();
    // An administrator closed the connection, or the user signed out in another window.
    if (name === "ended" && user) signInEnded();
  }

  api.signedOut = signInEnded;
  // The user may have changed in another window.
  live.on("welcome", (frame) => (frame.user?.username ?? frame.user ?? null) !== (user?.username ?? null) && load());
  onLanguage(() => {
    if (user === undefined) return;
    header(user);
    if (!user) put(form, signInForm());
    showState(...shown);
  });
  load();
  return live;
}

/** Shows the page in another language. A page whose texts are drawn once is loaded again, with what its forms hold. */
async function changeLanguage(language) {
  if (document.documentElement.dataset.languageChange !== "reload") return setLanguage(language, { remember: true });
  const { reloadIn } = await import("./reload.js");
  reloadIn(language);
}

/** The ways to sign in; requested once. Without a response, the form has a password only. */
let requested;
const waysToSignIn = () => requested ??= api.get("/api/v1/auth/providers")
  .catch(() => { requested = undefined; return { password: true, plone: false, providers: [] }; });

/**
 * Shows a note at the foot of the page, for a text that belongs to no form, with a button `action`. `about` names the
 * note for `clearNote`.
 */
export function showNote(text, about = "", action = null) {
  $("note").dataset.about = about;
  put($("note"), h("p", null, h("span", null, text), action, button(t("action.close"), () => put($("note")), { class: "quiet" })));
}

/** Removes the note with this `about`, if it is shown. */
export function clearNote(about) {
  if ($("note").dataset.about === about) put($("note"));
}

/** Moves the focus to an element that is not a control, such as a view. */
function focusOn(el) {
  if (!el) return;
  el.tabIndex = -1;
  el.focus({ preventScroll: true });
}

/**
 * Stores the heights of fixed and sticky elements in CSS variables: `--head`, `--urgent`, `--banners`, `--views`,
 * `--opening`.
 */
export function trackHeaderHeight() {
  const parts = { urgent: $("urgent"), head: document.querySelector("header"), banners: $("banners"), views: $("views"), opening: $("opening") };
  for (const name of Object.keys(parts)) if (!parts[name]) delete parts[name];
  const update = () => {
    // All are measured before any is set: after a change, measuring would compute the styles of the page again.
    const heights = Object.entries(parts).map(([name, el]) => [name, el.offsetHeight]);
    for (const [name, height] of heights) document.documentElement.style.setProperty(`--${name}`, `${height}px`);
  };
  const sizes = new ResizeObserver(update);
  for (const el of Object.values(parts)) sizes.observe(el);
}

/** Moves the focus into the sign-in form `form`. Where another view hides it, its own view is shown first. */
export function openSignIn(form) {
  clearNote("expired");
  const focus = () => form.querySelector("input")?.focus();
  if (form.checkVisibility()) focus();
  else openView("#term", focus);
}

/**
 * Sets up the views of a page. The fragment of the address chooses one, `first` by default; `#views` has the links.
 * While `oneByOne()` holds, each view keeps its own scroll position.
 */
export function setUpViews(first, oneByOne = () => false) {
  const positions = new Map();
  let shown = "";
  const show = () => {
    const links = [...$("views").children];
    const chosen = links.some((link) => link.hash === location.hash) ? location.hash : `#${first}`;
    if (chosen === shown) return;
    positions.set(shown, scrollY);
    shown = chosen;
    for (const link of links) {
      if (link.hash === chosen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const view of document.querySelectorAll("[data-view-name]")) view.classList.toggle("away", `#${view.dataset.viewName}` !== chosen);
    document.body.dataset.view = chosen.slice(1);
    // The focus was in the view that is now hidden.
    if (document.activeElement?.closest("[data-view-name].away") && !document.activeElement.checkVisibility()) focusOn(document.querySelector(`[data-view-name="${chosen.slice(1)}"]`));
    showLink();
    if (oneByOne()) scrollTo(0, positions.get(chosen) ?? 0);
  };
  /** Scrolls the row of links sideways, on a narrow page, to the link of the view. */
  const showLink = () => {
    const [nav, link] = [$("views"), document.querySelector("#views [aria-current]")];
    nav.scrollLeft = Math.min(link.offsetLeft, Math.max(nav.scrollLeft, link.offsetLeft + link.offsetWidth - nav.clientWidth));
  };
  addEventListener("hashchange", show);
  show();
  // The row has no width before the user has signed in, and a link becomes wider with a number of unread alerts.
  const resized = new ResizeObserver(showLink);
  for (const el of [$("views"), ...$("views").children]) resized.observe(el);
}
