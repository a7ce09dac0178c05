// A certified provider of OpenID Connect (oidc-provider) for the tests, with accounts that need no password.

import { once } from "node:events";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import { freePort } from "./support.mjs";

export const CLIENT = "eduhub";
export const SECRET = "a secret of the hub at the provider";
/** The accounts: the id, the username, the display name and the groups. */
const ACCOUNTS = {
  1001: { preferred_username: "ann", name: "Ann Ångström", groups: ["students"] },
  1002: { preferred_username: "dean", name: "Dean Dee", groups: ["deans"] },
  1003: { preferred_username: "student", name: "A name that a local account has", groups: ["students"] },
  1004: { preferred_username: "guest", name: "Guest", groups: [] },
};

const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}</html>`;

export class IdentityProvider {
  /** Starts a provider for the hub at `hub`. The two are different sites for a browser. */
  static async start(hub) {
    const idp = new IdentityProvider();
    idp.port = await freePort();
    idp.issuer = `http://localhost:${idp.port}`;
    idp.hub = hub;
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
      claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups"] },
      cookies: { keys: ["a key of the tests"] },
      features: {
        devInteractions: { enabled: false },
        backchannelLogout: { enabled: true },
        rpInitiatedLogout: {
          logoutSource: (ctx, form) => { ctx.body = page("Sign out", `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`); },
          postLogoutSuccessSource: (ctx) => { ctx.body = page("Signed out", ""); },
        },
      },
      // The provider refuses to call addresses of its own machine, where the hub is in the tests.
      fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      findAccount: (_, id) => ACCOUNTS[id] && { accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id] }) },
      // The provider does not ask whether the hub may know the user.
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

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}
