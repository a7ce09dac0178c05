// Many students, signed in at a real provider, register while it is stopped; a sign-out at the provider takes effect
// under load. The environment variable SSO_STUDENTS sets the number of students: 100 by default, 2,000 in the long run.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import { after, before, test } from "node:test";
import { IdentityProvider, settingsFor } from "./provider.mjs";
import { freePort, Hub, WAIT_MS_MAX } from "./support.mjs";

const STUDENTS = Number(process.env.SSO_STUDENTS ?? 100);
/** The number of sign-ins or registrations at the same time. */
const AT_ONCE = 32;
const SECTIONS = 20;

let hub, idp;
before(async () => {
  const port = await freePort();
  idp = await IdentityProvider.start(`http://127.0.0.1:${port}`);
  hub = await Hub.start(settingsFor(idp), port);
  const seats = Math.ceil(STUDENTS / SECTIONS);
  const line = (course, index) => `${course}${index},${course} ${index},A course,A01,lecture,3,${seats},0,,,Lee`;
  const lines = ["1", "2"].flatMap((number) => Array.from({ length: SECTIONS }, (_, index) => line(`MATH${number}`, 100 + index)));
  await hub.term("sso", lines);
});
after(async () => { await hub?.end(); await idp?.stop(); });

/** Runs `work` for each of `items`, at most `AT_ONCE` at a time. Returns the results in the order of `items`. */
async function each(items, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index], index);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

/** Registers each student for a section of subject `MATH1` or `MATH2`. Returns the response times, sorted. */
async function register(students, number) {
  const times = await each(students, async ({ token }, index) => {
    const begun = performance.now();
    const section = `sso-MATH${number}${100 + (index % SECTIONS)}`;
    const response = await fetch(`${hub.url}/api/v1/me/registrations/${section}`, { method: "PUT", headers: { Authorization: `Bearer ${token}` } });
    assert.equal(response.status, 201, `${index}: ${await response.text()}`);
    return performance.now() - begun;
  });
  return times.sort((a, b) => a - b);
}

const describe = (times) => `${times.length} registrations, p50 ${Math.round(times[times.length >> 1])} ms, p99 ${Math.round(times[Math.floor(times.length * 0.99)])} ms`;

/**
 * Opens a WebSocket with a token and waits until it is live. Returns its `stream`, and `closed`, a promise of the close
 * code and the time. Node 20 has no WebSocket client, so this reads the hub's frames (RFC 6455, section 5.2), which are
 * not masked.
 */
async function socket(token) {
  const request = get(`${hub.url}/alerts/ws`, { headers: {
    Authorization: `Bearer ${token}`, Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
  } });
  const [, stream, head] = await once(request, "upgrade");
  let live, close;
  const [isLive, closed] = [new Promise((resolve) => { live = resolve; }), new Promise((resolve) => { close = resolve; })];
  let read = Buffer.alloc(0);
  const take = (data) => {
    read = Buffer.concat([read, data]);
    while (read.length >= 2) {
      const short = read[1];
      const header = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (read.length < header) return;
      const length = short < 126 ? short : short === 126 ? read.readUInt16BE(2) : Number(read.readBigUInt64BE(2));
      if (read.length < header + length) return;
      const payload = read.subarray(header, header + length);
      if ((read[0] & 15) === 8) close({ code: payload.readUInt16BE(0), at: Date.now() });
      if ((read[0] & 15) === 1 && JSON.parse(payload).type === "live") live();
      read = read.subarray(header + length);
    }
  };
  stream.on("data", take);
  stream.on("close", () => close({ code: null, at: Date.now() }));
  take(head);
  await isLive;
  return { closed, stream };
}

test("students who have signed in register as before while the provider is stopped", { timeout: 20 * WAIT_MS_MAX }, async (t) => {
  const students = await each(Array.from({ length: STUDENTS }, (_, index) => `s${index + 1}`), (id) => idp.signIn(id));
  const before = await register(students, 1);
  await idp.stop();
  let during;
  try {
    await assert.rejects(fetch(idp.issuer), "negative control: the provider does not respond");
    during = await register(students, 2);
  } finally {
    await idp.run();
  }
  t.diagnostic(`with the provider: ${describe(before)}; while it is stopped: ${describe(during)}`);
  const [first] = students;
  const { items } = await (await fetch(`${hub.url}/api/v1/me/registrations?term=sso`, { headers: { Authorization: `Bearer ${first.token}` } })).json();
  assert.deepEqual(items.map(({ section, status }) => [section, status]).sort(), [["sso-MATH1100", "enrolled"], ["sso-MATH2100", "enrolled"]]);
});

test("a sign-out at the provider closes the WebSockets of one person, even under load", async (t) => {
  const [leaving, staying, ...others] = await each(["s90001", "s90002", ...Array.from({ length: AT_ONCE }, (_, index) => `s${91000 + index}`)], (id) => idp.signIn(id));
  const [left, stayed] = [await socket(leaving.token), await socket(staying.token)];
  let isOver = false;
  const load = each(others, async ({ token }) => {
    while (!isOver) await (await fetch(`${hub.url}/api/v1/me/registrations`, { headers: { Authorization: `Bearer ${token}` } })).arrayBuffer();
  });
  await idp.signOut(leaving.jar);
  const { code, at } = await left.closed;
  isOver = true;
  await load;
  assert.equal(code, 4003);
  t.diagnostic(`the WebSocket was closed ${at - idp.called} ms after the provider's request`);
  const status = async ({ token }) => (await fetch(`${hub.url}/api/v1/me`, { headers: { Authorization: `Bearer ${token}` } })).status;
  assert.deepEqual([await status(leaving), await status(staying)], [401, 200]);
  assert.equal(await Promise.race([stayed.closed, null]), null, "the WebSockets of others stay open");
  stayed.stream.destroy();
  left.stream.destroy();
});
