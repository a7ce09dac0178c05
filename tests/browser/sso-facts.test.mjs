// Facts about a student that a real provider states at a sign-in.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { account, IdentityProvider, settingsFor } from "./provider.mjs";
import { freePort, Hub } from "./support.mjs";

let hub, idp;
before(async () => {
  const port = await freePort();
  idp = await IdentityProvider.start(`http://127.0.0.1:${port}`);
  const claims = { STUDENT_GROUPS_CLAIM: "membership", PROGRAM_CLAIM: "study.program", CAMPUS_CLAIM: "campus", CREDIT_LIMIT_CLAIM: "credits" };
  const settings = Object.fromEntries(Object.entries(claims).map(([name, value]) => [`EDUHUB_AUTH__OIDC__COLLEGE__${name}`, value]));
  hub = await Hub.start({ ...settingsFor(idp), ...settings }, port);
  await hub.term("facts", ["1,MATH 151,Calculus I,A01,lecture,5,9,3,MWF,09:00-09:50,Lee"], { opensIn: 3600 });
});
after(async () => { await hub?.end(); await idp?.stop(); });

const facts = (user) => hub.ask("staff", "GET", `/api/v1/students/${user}`);
const changes = async (user) => (await hub.ask("admin", "GET", "/api/v1/admin/audit?action=student.change")).items.filter(({ subject }) => subject === user);

test("registration is decided with the student facts that a sign-in states", async () => {
  const vera = account("1005");
  const stated = { credit_limit: 21.5, credit_min: 6, program: "Nursing", campus: "North" };
  await hub.ask("staff", "PUT", "/api/v1/students/vera", { groups: ["athletes"], program: "Welding", credit_min: 6 });
  // Registration opens for veterans only.
  const opens_at = new Date(Date.now() - 60_000).toISOString();
  const { windows } = await hub.ask("staff", "PUT", "/api/v1/terms/facts", { windows: [{ group: "veterans", opens_at }] });
  assert.equal(windows.length, 1);
  const { token } = await idp.signIn("1005");
  const register = async (token) => (await fetch(`${hub.url}/api/v1/me/registrations/facts-1`, { method: "PUT", headers: { Authorization: `Bearer ${token}` } })).status;
  assert.equal(await register(token), 201, "the first request is decided with the new facts");
  const { groups, holds, credit_limit, credit_min, program, campus } = await facts("vera");
  assert.deepEqual({ credit_limit, credit_min, program, campus }, stated, "facts without a claim stay");
  assert.deepEqual([groups, holds], [["veterans", "honors"], []]);
  assert.deepEqual((await changes("vera")).map(({ user, detail }) => [user, detail])[0], [null, "stated by oidc:college"]);

  await idp.signIn("1005");
  assert.equal((await changes("vera")).length, 2, "the second sign-in changes nothing: one change by staff, one by the provider");

  const { membership, credits, ...less } = vera;
  idp.accounts.set("1005", less);
  const { token: again } = await idp.signIn("1005");
  const left = await facts("vera");
  assert.deepEqual([left.groups, left.credit_limit, left.program], [[], undefined, "Nursing"], "a student removed from the groups at the provider is removed from them in the hub");
  assert.equal(await register(again), 200, "an existing seat stays");

  const { token: other } = await idp.signIn("1001");
  assert.equal(await register(other), 409, "negative control: registration is not open for others");
});

test("a sign-in stores no student facts for staff", async () => {
  await idp.signIn("1002");
  assert.deepEqual(await changes("dean"), []);
});
