// Sign-in by the college's web server: a real Apache httpd in front of the hub signs users in. Basic authentication
// takes the place of Shibboleth, SAML or CAS, which set REMOTE_USER in the same way.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { freePort, Hub, WAIT_MS_MAX } from "./support.mjs";

const UNPACKED = path.resolve(import.meta.dirname, "../../.apache");
const SECRET = "a secret of the web server, 32 bytes";
const ACCOUNTS = { ann: "student@college.edu", dean: "employee@college.edu; staff@college.edu", visitor: "library-walk-in@college.edu" };

/** Returns the program, and the folders of its modules and libraries; undefined if httpd is not installed. */
function httpd() {
  const program = ["/usr/sbin/apache2", `${UNPACKED}/usr/sbin/apache2`].find((one) => existsSync(one));
  if (!program) return undefined;
  const root = path.resolve(path.dirname(program), "../..");
  const folders = existsSync(`${root}/usr/lib`) ? readdirSync(`${root}/usr/lib`).map((name) => `${root}/usr/lib/${name}`) : [];
  return { program, modules: path.join(root, "usr/lib/apache2/modules"), libraries: folders.filter((one) => one.endsWith("-linux-gnu")).join(":") };
}

const apache = httpd();
const skip = apache ? false : "Apache httpd is not installed: run scripts/apache/install.sh to see why";
let hub, web, server;

/** Starts httpd with the configuration that docs/SSO.md describes. */
async function start(folder, port, backend) {
  const modules = ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "headers", "proxy", "proxy_http"];
  const hash = (password) => createHash("sha1").update(password).digest("base64");
  writeFileSync(`${folder}/passwords`, Object.keys(ACCOUNTS).map((name) => `${name}:{SHA}${hash(`${name}'s password`)}\n`).join(""));
  const affiliations = Object.entries(ACCOUNTS).map(([name, value]) => `RequestHeader set X-Affiliation "${value}" "expr=%{REMOTE_USER} == '${name}'"`);
  writeFileSync(`${folder}/httpd.conf`, `
    ServerRoot "${folder}"
    ServerName localhost
    PidFile "${folder}/httpd.pid"
    Listen 127.0.0.1:${port}
    ErrorLog "${folder}/httpd.log"
    DefaultRuntimeDir "${folder}"
    ${modules.map((name) => `LoadModule ${name}_module "${apache.modules}/mod_${name}.so"`).join("\n")}
    ProxyPass "/" "${backend}/"
    ProxyPreserveHost On
    RequestHeader unset X-EduHub-Secret
    RequestHeader unset X-Remote-User
    RequestHeader unset X-Remote-Name
    RequestHeader unset X-Remote-Groups
    RequestHeader unset X-Affiliation
    <Location "/auth/proxy/login">
      AuthType Basic
      AuthName "College"
      AuthUserFile "${folder}/passwords"
      Require valid-user
      RequestHeader set X-EduHub-Secret "${SECRET}"
      RequestHeader set X-Remote-User "expr=%{REMOTE_USER}"
      ${affiliations.join("\n      ")}
    </Location>
  `);
  const env = { ...process.env, LD_LIBRARY_PATH: apache.libraries };
  const arguments_ = ["-f", `${folder}/httpd.conf`];
  execFileSync(apache.program, [...arguments_, "-t"], { env, stdio: "pipe" });
  const child = spawn(apache.program, [...arguments_, "-DFOREGROUND"], { env, stdio: "ignore" });
  for (const begun = Date.now(); ;) {
    try {
      await fetch(`http://127.0.0.1:${port}/healthz`);
      return child;
    } catch (error) {
      if (Date.now() - begun > WAIT_MS_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

before(async () => {
  if (skip) return;
  const port = await freePort();
  web = `http://127.0.0.1:${port}`;
  hub = await Hub.start({
    EDUHUB_SERVER__PUBLIC_URL: web, EDUHUB_AUTH__PROXY__PEERS: "127.0.0.1", EDUHUB_AUTH__PROXY__SECRET: SECRET,
    EDUHUB_AUTH__PROXY__CLAIM_HEADERS: "X-Affiliation", EDUHUB_AUTH__PROXY__LOGOUT_URL: "/Shibboleth.sso/Logout", EDUHUB_AUTH__PROXY__TITLE: "College account",
    EDUHUB_ROLES__STAFF: "X-Affiliation=staff@college.edu", EDUHUB_ROLES__STUDENT: "X-Affiliation=student@college.edu",
  });
  server = await start(hub.folder, port, hub.url);
});
after(async () => {
  server?.kill("SIGTERM");
  await hub?.end();
});

/** Begins a sign-in. `as` is the user whom Apache signs in. */
async function signIn({ as, at = web, headers = {} } = {}) {
  const credentials = as ? { Authorization: `Basic ${Buffer.from(`${as}:${as}'s password`).toString("base64")}` } : {};
  const response = await fetch(`${at}/auth/proxy/login?next=/staff`, { redirect: "manual", headers: { ...credentials, ...headers } });
  const cookie = response.headers.getSetCookie().find((one) => one.includes("eduhub_session="))?.split(";")[0];
  return { status: response.status, location: response.headers.get("Location"), text: await response.text(), cookie };
}

const session = async (cookie) => (await (await fetch(`${web}/api/v1/session`, { headers: { Cookie: cookie } })).json()).user;

test("Apache signs users in, and the hub signs them out", { skip }, async () => {
  const { providers } = await (await fetch(`${web}/api/v1/auth/providers`)).json();
  assert.deepEqual(providers, [{ id: "proxy", title: "College account", kind: "proxy", url: "/auth/proxy/login" }]);
  for (const [as, role] of [["ann", "student"], ["dean", "staff"]]) {
    const { status, location, cookie } = await signIn({ as });
    assert.deepEqual([status, location], [303, "/staff"]);
    assert.deepEqual(await session(cookie), { username: as, name: as, role });
  }
  const { items } = await hub.ask("admin", "GET", "/api/v1/admin/users?q=ann");
  assert.deepEqual(items.map(({ username, source }) => [username, source]), [["ann", "proxy"]]);
  const { cookie } = await signIn({ as: "ann" });
  const signedOut = await fetch(`${web}/api/v1/logout`, { method: "POST", headers: { Cookie: cookie, Origin: web } });
  assert.deepEqual(await signedOut.json(), { end_session: "/Shibboleth.sso/Logout" });
  assert.equal(await session(cookie), null);
});

test("headers from clients have no effect, neither through Apache nor around it", { skip }, async () => {
  assert.equal((await signIn()).status, 401, "Apache asks for a password");
  const headers = { "X-Remote-User": "admin", "X-EduHub-Secret": "a guess", "X-Affiliation": "staff@college.edu" };
  const { cookie } = await signIn({ as: "ann", headers });
  assert.deepEqual(await session(cookie), { username: "ann", name: "ann", role: "student" });
  const outside = await signIn({ as: "visitor", headers });
  assert.equal(outside.status, 403);
  assert.match(outside.text, /no role in EduHub/);
  for (const sent of [headers, { ...headers, "X-EduHub-Secret": "" }, { "X-Remote-User": "admin" }, {}]) {
    const past = await signIn({ at: hub.url, headers: sent });
    assert.deepEqual([past.status, past.cookie], [403, undefined], JSON.stringify(sent));
  }
  const elsewhere = await fetch(`${hub.url}/api/v1/me`, { headers: { ...headers, "X-EduHub-Secret": SECRET } });
  assert.equal(elsewhere.status, 401, "headers sign in at one address only");
});
