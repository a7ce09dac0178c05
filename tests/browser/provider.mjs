// A certified provider of OpenID Connect (oidc-provider) for the tests, with accounts that need no password.

import { once } from "node:events";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import { freePort } from "./support.mjs";

const CLIENT = "eduhub";
const SECRET = "a secret of the hub at the provider";

/** Returns the settings of a hub that uses this provider. */
export function settingsFor(idp) {
  const provider = { ISSUER: idp.issuer, CLIENT_ID: CLIENT, CLIENT_SECRET: SECRET, TITLE: "College account" };
  const settings = Object.fromEntries(Object.entries(provider).map(([name, value]) => [`EDUHUB_AUTH__OIDC__COLLEGE__${name}`, value]));
  return { ...settings, EDUHUB_ROLES__STAFF: "group:deans", EDUHUB_ROLES__STUDENT: "group:students", EDUHUB_AUTH__HELP: "the help desk, 555-0100" };
}
/** The claims of the accounts by their ids: the username, the display name, the groups and, for some, student facts. */
const ACCOUNTS = {
  1001: { preferred_username: "ann", name: "Ann Ångström", groups: ["students"] },
  1002: { preferred_username: "dean", name: "Dean Dee", groups: ["deans"], membership: ["veterans"] },
  1003: { preferred_username: "student", name: "A name that a local account has", groups: ["students"] },
  1004: { preferred_username: "guest", name: "Guest", groups: [] },
  1005: { preferred_username: "vera", name: "Vera", groups: ["students"], membership: ["/veterans", "honors"], study: { program: "Nursing" }, campus: "North", credits: 21.5 },
};

/** Returns the account with this id. Besides those above, there are students `s1`, `s2`… */
export const account = (id) => ACCOUNTS[id] ?? (/^s\d+$/.test(id) ? { preferred_username: id, name: `Student ${id}`, groups: ["students"] } : undefined);

const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}</html>`;

/** Returns the value of `Cookie` for these cookies. */
const sent = (jar) => [...jar].map(([name, value]) => `${name}=${value}`).join("; ");

export class IdentityProvider {
  /** Starts a provider for the hub at `hub`. The two are different sites for a browser. */
  static async start(hub) {
    const idp = new IdentityProvider();
    idp.port = await freePort();
    idp.issuer = `http://localhost:${idp.port}`;
    idp.hub = hub;
    /** Accounts that a test has changed, by id. */
    idp.accounts = new Map();
    await idp.run();
    return idp;
  }

  async run() {
    const { hub, issuer } = this;
    const provider = new Provider(issuer, {
      clients: [{
        client_id: CLIENT, client_secret: SECRET, redirect_uris: [`${hub}/auth/college/callback`], post_logout_redirect_uris: [`${hub}/`],
        backchannel_logout_uri: `${hub}/auth/college/backchannel-logout`, backchannel_logout_session_required: true,
      }],
      claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups", "membership", "study", "campus", "credits"] },
      cookies: { keys: ["a key of the tests"] },
      features: {
        devInteractions: { enabled: false },
        backchannelLogout: { enabled: true },
        rpInitiatedLogout: {
          logoutSource: (ctx, form) => { ctx.body = page("Sign out", `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`); },
          postLogoutSuccessSource: (ctx) => { ctx.body = page("Signed out", ""); },
        },
      },
      // By default, the provider refuses to call loopback addresses, where the hub of a test listens.
      fetch: (url, { dispatcher: _, ...options }) => {
        this.called = Date.now();
        return fetch(url, options);
      },
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      findAccount: (_, id) => account(id) && { accountId: id, claims: () => ({ sub: id, ...(this.accounts.get(id) ?? account(id)) }) },
      // Grants the hub the user's claims, so that the provider shows no consent page.
      async loadExistingGrant({ oidc }) {
        const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
        grant.addOIDCScope("openid profile");
        await grant.save();
        return grant;
      },
    });
    const handle = provider.callback();
    this.server = createServer(async (request, response) => {
      if (!request.url.startsWith("/interaction/")) return handle(request, response);
      if (request.method === "GET") {
        const accounts = Object.entries(ACCOUNTS).map(([id, { preferred_username: name }]) => `<button name="account" value="${id}">${name}</button>`);
        return response.setHeader("Content-Type", "text/html").end(page("College sign-in", `<form method="post">${accounts.join("")}<button name="account" value="">Cancel</button></form>`));
      }
      let form = "";
      for await (const chunk of request) form += chunk;
      const accountId = new URLSearchParams(form).get("account");
      const result = accountId ? { login: { accountId } } : { error: "access_denied", error_description: "the user has cancelled" };
      await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    });
    this.server.listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
  }

  /**
   * Signs in as an account without a browser, up to the provider's redirect to the hub. Returns the hub's cookie of the
   * pending sign-in, the address of the redirect, and the provider's cookies.
   */
  async authorize(account) {
    const begun = await fetch(`${this.hub}/auth/college/login`, { redirect: "manual" });
    const jar = new Map();
    let url = begun.headers.get("Location"), body;
    while (!url.startsWith(this.hub)) {
      const response = await fetch(url, { method: body ? "POST" : "GET", body, redirect: "manual", headers: { Cookie: sent(jar) } });
      for (const cookie of response.headers.getSetCookie()) jar.set(...cookie.split(";")[0].split(/=(.*)/));
      const location = response.headers.get("Location");
      body = location ? undefined : new URLSearchParams({ account });
      if (location) url = new URL(location, url).href;
      else await response.arrayBuffer();
    }
    return { flow: begun.headers.getSetCookie()[0].split(";")[0], callback: url, jar };
  }

  /** Signs in as an account without a browser. Returns the hub's token and the cookies of the provider. */
  async signIn(account) {
    const { flow, callback, jar } = await this.authorize(account);
    const response = await fetch(callback, { redirect: "manual", headers: { Cookie: flow } });
    if (response.status !== 303) throw new Error(`${account} could not sign in: ${response.status} ${await response.text()}`);
    const session = response.headers.getSetCookie().find((cookie) => cookie.startsWith("eduhub_session="));
    return { token: session.split(/[=;]/)[1], jar };
  }

  /** Signs out at the provider with its cookies, which sends a back-channel logout to the hub. */
  async signOut(jar) {
    const page = await fetch(`${this.issuer}/session/end`, { headers: { Cookie: sent(jar) } });
    for (const cookie of page.headers.getSetCookie()) jar.set(...cookie.split(";")[0].split(/=(.*)/));
    const xsrf = /name="xsrf" value="([^"]*)"/.exec(await page.text())[1];
    const body = new URLSearchParams({ xsrf, logout: "yes" });
    await fetch(`${this.issuer}/session/end/confirm`, { method: "POST", body, redirect: "manual", headers: { Cookie: sent(jar) } });
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}
