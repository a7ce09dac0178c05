// Who is here: the sign-in form, the name in the header, signing out, and the state of the live connection.

import { $, button, field, h, put } from "./dom.js";
import { api } from "./api.js";
import { Live } from "./live.js";
import { clock } from "./words.js";

const PAGES = [["/", "Register", null], ["/staff", "Staff", "staff"], ["/admin", "Administration", "admin"]];
const RANK = { student: 1, staff: 2, admin: 3 };

/** Whether `user` may do what `role` may. */
export const may = (user, role) => (RANK[user?.role] ?? 0) >= RANK[role];

/**
 * Starts a page: finds out who is here, opens the live connection, and calls `onuser(user | null)` now and whenever
 * that changes. `form` is where the sign-in form stands while nobody is signed in.
 */
export function start({ form, onuser }) {
  const live = new Live({ onstate: (state, heard) => showState(state, heard) });
  let user, ending = false, cleared = false;

  async function load() {
    let found = null;
    try {
      found = await api.get("/api/v1/me");
    } catch (problem) {
      if (problem.code === "no_answer") setTimeout(load, 3000);
      if (problem.status !== 401) return note(problem.message);
    }
    become(found);
  }

  function become(found, why) {
    const changed = user === undefined || user?.username !== found?.username || user?.role !== found?.role;
    user = found;
    header(user);
    put(form, user ? null : signIn(why));
    form.hidden = Boolean(user);
    if (changed) {
      live.restart();
      onuser(user);
    }
  }

  function signIn(why) {
    const username = h("input", { name: "username", autocomplete: "username", required: true, autocapitalize: "none" });
    const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
    const answer = h("p", { role: "status", class: why ? "careful" : "" }, why);
    const press = h("button", { class: "primary" }, "Sign in");
    const hint = h("p", { class: "none" });
    collegeAccount().then((works) => works && put(hint, "Your account of the college's Plone works here."));
    const onsubmit = async (event) => {
      event.preventDefault();
      press.disabled = true;
      answer.className = "";
      put(answer, "Signing in…");
      try {
        become((await api.post("/api/v1/login", { username: username.value.trim(), password: password.value })).user);
      } catch (problem) {
        answer.className = "stop";
        put(answer, problem.message);
        press.disabled = false;
        password.select();
      }
    };
    return h("form", { class: "sign-in", onsubmit }, h("h2", null, "Sign in"),
      field("User name", username), field("Password", password), hint, press, answer);
  }

  async function signOut() {
    try {
      await api.post("/api/v1/logout");
    } catch (problem) {
      if (problem.status !== 401) return note(problem.message);
    }
    become(null);
  }

  /** The token ended: the cookie is cleared, so that this page can go on as a visitor's. */
  async function ended() {
    if (!user || ending) return;
    ending = true;
    try { await api.post("/api/v1/logout"); } catch { /* It is dead already. */ }
    ending = false;
    become(null, "Your sign-in has ended. Sign in again.");
  }

  /** A cookie that is good for nothing keeps even a visitor out: it is cleared, once. */
  async function visit() {
    if (cleared) return;
    cleared = true;
    try { await api.post("/api/v1/logout"); } catch { /* It is dead already. */ }
    live.restart();
  }

  function header(user) {
    put($("nav"), PAGES.filter(([, , role]) => !role || may(user, role)).map(([href, label]) =>
      h("a", { href, "aria-current": href === location.pathname ? "page" : null }, label)));
    const toForm = () => setTimeout(() => form.querySelector("input")?.focus());
    put($("who"), !user ? h("a", { href: "#term", onclick: toForm }, "Sign in") : [h("span", null, `${user.name || user.username} (${user.role})`), button("Sign out", signOut, { class: "quiet" })]);
  }

  function showState(state, heard) {
    const as = heard ? `, numbers as of ${clock(heard)}` : "";
    const [tone, text] = {
      live: ["good", "Live"],
      offline: ["stop", `Offline${as}`],
      ended: ["stop", "Disconnected by an administrator"],
      "signed-out": ["careful", "Not live"],
    }[state] ?? ["careful", `Reconnecting${as}`];
    $("live").className = tone;
    put($("live"), text, state === "ended" && button("Connect again", () => live.restart(), { class: "quiet" }));
    if (state === "signed-out") user ? ended() : visit();
    // Ended by an administrator, or signed out in another window: then nobody is signed in here either.
    if (state === "ended" && user) api.get("/api/v1/me").catch(() => {});
  }

  api.signedOut = ended;
  // Another window may have signed somebody else in, or out.
  live.on("welcome", (frame) => (frame.user?.username ?? frame.user ?? null) !== (user?.username ?? null) && load());
  load();
  return live;
}

/** Whether the college's Plone signs people in; asked once. */
let asked;
const collegeAccount = () => asked ??= fetch("/readyz").then((response) => response.json())
  .then(({ plone }) => plone !== undefined && plone !== "off", () => { asked = undefined; return false; });

/** A short word at the foot of the page about something that went wrong outside of any form. */
export function note(text) {
  put($("note"), h("p", null, text, " ", button("Close", () => put($("note")), { class: "quiet" })));
}

/** Views of a page, chosen by the address after `#`; links to them are in `#views`. */
export function views(first) {
  const show = () => {
    const links = [...$("views").children];
    const chosen = links.some((link) => link.hash === location.hash) ? location.hash : `#${first}`;
    for (const link of links) {
      if (link.hash === chosen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const view of document.querySelectorAll("[data-view-name]")) view.classList.toggle("away", `#${view.dataset.viewName}` !== chosen);
  };
  addEventListener("hashchange", show);
  show();
}
