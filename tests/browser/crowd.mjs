// A large college, and simulated students who keep changing its seats.

import { execFileSync } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { HUB } from "./support.mjs";

/** The number of sections in a term of a real college with 20,000 students. */
export const SECTIONS = 3465;
const COURSES = 693;
/** Distinct hours of a week: this many consecutive sections fit in one week. */
const HOURS = 60;
/** Sections that a student adds or drops in one request. */
const BATCH = 25;
const SUBJECTS = ["ACCT", "ARTS", "BIOL", "CHEM", "ENGL", "HIST", "MATH", "NURS", "PHYS", "PSYC", "SOCI"];

/** Returns the schedule as lines of CSV. Any 60 consecutive sections have different courses and hours. */
export const lines = () => Array.from({ length: SECTIONS }, (_, i) => {
  const [course, hour] = [i % COURSES, i % HOURS];
  const at = String(8 + Math.floor(hour / 5)).padStart(2, "0");
  return `${10001 + i},${SUBJECTS[course % SUBJECTS.length]} ${100 + course},Course number ${course} and what it is about,A${String(Math.floor(i / COURSES)).padStart(2, "0")},lecture,3,${1 + i % 9},3,${"MTWRF"[hour % 5]},${at}:00-${at}:50,Instructor ${i % 211}`;
});

/** Settings of the hub: students hold more credits here than a limit would allow. */
export const SETTINGS = { EDUHUB_REGISTRATION__CREDIT_LIMIT: "0" };

/** Creates tokens for `n` students without accounts. */
export function tokens(hub, n) {
  const output = execFileSync(HUB, ["token", "--subject", "crowd", "--role", "student", "--count", String(n)], { env: hub.env, cwd: hub.folder, encoding: "utf8" });
  return output.trim().split("\n");
}

/**
 * Simulated students who add and drop sections of `term`, so that `perSecond` sections change each second.
 */
export class Crowd {
  changes = 0;
  failed = 0;
  #ended = false;

  constructor(hub, term, { perSecond = 500 } = {}) {
    Object.assign(this, { hub, term, every: (1000 * BATCH) / perSecond });
    const all = tokens(hub, Math.floor(SECTIONS / BATCH));
    this.students = all.map((token, i) => ({ token, held: false, sections: Array.from({ length: BATCH }, (_, k) => `${term}-${10001 + i * BATCH + k}`) }));
  }

  stop() {
    this.#ended = true;
  }

  /** Runs for `seconds` or until `stop()`. Returns `{changes, failed, seconds}`; `failed` counts requests. */
  async run(seconds) {
    const [begun, pending] = [performance.now(), new Set()];
    for (let turn = 0; !this.#ended && turn * this.every < seconds * 1000; turn += 1) {
      // Consecutive turns change distant sections, as independent students would.
      const student = this.students[(turn * 37) % this.students.length];
      const one = this.#turn(student).finally(() => pending.delete(one));
      pending.add(one);
      await wait(Math.max(0, begun + (turn + 1) * this.every - performance.now()));
      // Bounds the requests in flight when the hub falls behind.
      if (pending.size > 40) await Promise.race(pending);
    }
    await Promise.all(pending);
    return { changes: this.changes, failed: this.failed, seconds: (performance.now() - begun) / 1000 };
  }

  async #turn(student) {
    if (student.busy) return;
    student.busy = true;
    const [add, drop] = student.held ? [[], student.sections] : [student.sections, []];
    try {
      const response = await fetch(`${this.hub.url}/api/v1/me/registrations`, {
        method: "POST", headers: { Authorization: `Bearer ${student.token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ add, drop, swap: false, waitlist: false }),
      });
      const { results } = await response.json();
      student.held = !student.held;
      this.changes += results.filter(({ status }) => status).length;
    } catch {
      // The next turn sends the same request again, which is safe: adds and drops are idempotent.
      this.failed += 1;
    }
    student.busy = false;
  }
}
