// A college of the size of a large one, and students who keep its seats moving.

import { execFileSync } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { HUB } from "./support.mjs";

/** As many sections as a term of a real college of 20,000 students has. */
export const SECTIONS = 3465;
const COURSES = 693;
/** Distinct hours of a week: as many sections in a row go together in one week. */
const HOURS = 60;
/** What one student takes and gives back at once. */
const AT_ONCE = 25;
const SUBJECTS = ["ACCT", "ARTS", "BIOL", "CHEM", "ENGL", "HIST", "MATH", "NURS", "PHYS", "PSYC", "SOCI"];

/** Any 60 sections that follow each other are of different courses and meet at different hours. */
export const lines = () => Array.from({ length: SECTIONS }, (_, i) => {
  const [course, hour] = [i % COURSES, i % HOURS];
  const at = String(8 + Math.floor(hour / 5)).padStart(2, "0");
  return `${10001 + i},${SUBJECTS[course % SUBJECTS.length]} ${100 + course},Course number ${course} and what it is about,A${String(Math.floor(i / COURSES)).padStart(2, "0")},lecture,3,${1 + i % 9},3,${"MTWRF"[hour % 5]},${at}:00-${at}:50,Instructor ${i % 211}`;
});

/** What a hub needs for it: one student holds more credits here than anywhere else. */
export const SETTINGS = { EDUHUB_REGISTRATION__CREDIT_LIMIT: "0" };

/** Tokens for `n` students that nobody else is. */
export function tokens(hub, n) {
  const told = execFileSync(HUB, ["token", "--subject", "crowd", "--role", "student", "--count", String(n)], { env: hub.env, cwd: hub.folder, encoding: "utf8" });
  return told.trim().split("\n");
}

/**
 * Students take seats and give them back, so that `perSecond` sections of `term` change each second, for `seconds` or
 * until `stop()`. Gives how many changed, and how many requests failed.
 */
export class Crowd {
  changes = 0;
  failed = 0;
  #ended = false;

  constructor(hub, term, { perSecond = 500 } = {}) {
    Object.assign(this, { hub, term, every: (1000 * AT_ONCE) / perSecond });
    const all = tokens(hub, Math.floor(SECTIONS / AT_ONCE));
    this.students = all.map((token, i) => ({ token, held: false, sections: Array.from({ length: AT_ONCE }, (_, k) => `${term}-${10001 + i * AT_ONCE + k}`) }));
  }

  stop() {
    this.#ended = true;
  }

  async run(seconds) {
    const [begun, asked] = [performance.now(), new Set()];
    for (let turn = 0; !this.#ended && turn * this.every < seconds * 1000; turn += 1) {
      // The rows move far apart, as they do when many people press at once.
      const student = this.students[(turn * 37) % this.students.length];
      const one = this.#turn(student).finally(() => asked.delete(one));
      asked.add(one);
      await wait(Math.max(0, begun + (turn + 1) * this.every - performance.now()));
      // A hub that falls behind is not buried under more.
      if (asked.size > 40) await Promise.race(asked);
    }
    await Promise.all(asked);
    return { changes: this.changes, failed: this.failed, seconds: (performance.now() - begun) / 1000 };
  }

  async #turn(student) {
    if (student.busy) return;
    student.busy = true;
    const [add, drop] = student.held ? [[], student.sections] : [student.sections, []];
    try {
      const answer = await fetch(`${this.hub.url}/api/v1/me/registrations`, {
        method: "POST", headers: { Authorization: `Bearer ${student.token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ add, drop, swap: false, waitlist: false }),
      });
      const { results } = await answer.json();
      student.held = !student.held;
      this.changes += results.filter(({ status }) => status).length;
    } catch {
      // Whether it was done is seen by asking again: taking and giving back can both be repeated.
      this.failed += 1;
    }
    student.busy = false;
  }
}
