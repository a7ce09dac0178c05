// What the pages say. Pure: no page, no network, no clock.

const DAYS = { mon: "Mon", tue: "Tue", wed: "Wed", thu: "Thu", fri: "Fri", sat: "Sat", sun: "Sun" };
/** From this number of seats down, a section has few left. */
const FEW = 5;

/** `1 seat`, `2 seats`. */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** `1st`, `2nd`, `3rd`, `4th`. */
export function nth(n) {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `${n}${tail}`;
}

/** A list for people: `a`, `a and b`, `a, b and c`. */
export const listed = (items) => items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;

/** What somebody holds: `Enrolled.`, `Waiting, 3rd in line.` */
export function standing(held) {
  if (held?.status !== "waitlisted") return held ? "Enrolled." : "";
  return `Waiting${held.position ? `, ${nth(held.position)} in line` : ""}.`;
}

/** What a newcomer finds: words, a tone (`good`, `careful`, `stop`), and the kind of thing to do. */
export function seats({ capacity, enrolled, waitlisted, open }, status = "open") {
  if (status === "cancelled") return { text: "Cancelled", tone: "stop", kind: "cancelled" };
  if (open > 0) return { text: `${open} left`, tone: open > FEW ? "good" : "careful", kind: "open" };
  // The live numbers carry no status: seats that are free and yet not open belong to a section that takes nobody.
  if (status === "closed" || enrolled + waitlisted < capacity) return { text: "Closed", tone: "stop", kind: "closed" };
  return { text: waitlisted > 0 ? `Full, ${waitlisted} waiting` : "Full", tone: "stop", kind: "full" };
}

/** `Mon Wed 9:30 – 10:50 AM, Room 12`, in the habit of the reader's language. */
export function meeting({ days, start, end, location }, withRoom = true) {
  const when = [days?.map((day) => DAYS[day] ?? day).join(" "), hours(start, end)].filter(Boolean).join(" ");
  return [when || "Time not set yet", withRoom && location].filter(Boolean).join(", ");
}

/** All meetings of a section. */
export const meetings = (section, withRoom) =>
  section.meetings?.length ? section.meetings.map((one) => meeting(one, withRoom)) : ["Time not set yet"];

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });

function hours(start, end) {
  const [from, to] = [start, end].map((text) => text && new Date(`2000-01-01T${text}:00`));
  if (!from) return "";
  return to && to > from ? CLOCK.formatRange(from, to) : CLOCK.format(from);
}

/** A moment with its zone's name: `Tue, Jan 12, 8:00 AM GMT+1`. */
export const moment = (at) => at ? new Date(at).toLocaleString(undefined, {
  weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short",
}) : "";

/** A moment of today, to the second. */
export const clock = (at) => new Date(at).toLocaleTimeString();

/** `2 days 3 h`, `1 h 02 min`, `4:09`. */
export function span(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (s >= 86400) return `${count(Math.floor(s / 86400), "day")} ${Math.floor((s % 86400) / 3600)} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** `MATH 151 lecture (10001)`. */
export const name = (section, id) =>
  section ? `${section.course} ${section.component ?? ""} (${section.crn})`.replace("  ", " ") : id;

/**
 * Why something was refused, in a sentence, and the one next step: `{text, next?}` where `next` is `waitlist`,
 * `swap` (with `with`), `others`, `plan`, `again` or `look`. `nameOf` turns a section's id into its name.
 */
export function refusal(problem, nameOf = (id) => id) {
  const clashing = [problem.conflicts_with ?? []].flat();
  switch (problem.code) {
    case "registration_closed":
      if (problem.closes_at && problem.opens_at && Date.parse(problem.opens_at) <= Date.now()) {
        return { text: `Registration closed on ${moment(problem.closes_at)}.` };
      }
      return problem.opens_at
        ? { text: `Registration opens ${moment(problem.opens_at)}.`, next: "plan" }
        : { text: "Registration is not open for this term.", next: "plan" };
    case "hold":
      return { text: problem.detail ?? "There is a hold on your account. The registrar's office can lift it." };
    case "section_cancelled":
      return { text: "This section is cancelled and will not be taught.", next: "others" };
    case "section_closed":
      return { text: "This section takes nobody new.", next: "others" };
    case "already_in_course":
      return { text: `You already have ${listed(clashing.map(nameOf)) || "a section of this course"}.`, ...swap(clashing) };
    case "time_conflict":
      return { text: `Meets at the same time as ${listed(clashing.map(nameOf)) || "another of your sections"}.`, ...swap(clashing) };
    case "credit_limit":
      return { text: problem.detail ?? "This would take you over your credit limit. Drop something first." };
    case "section_full":
      if (!problem.waitlist_open) return { text: "Full, and nobody else can wait.", next: "others" };
      return {
        text: problem.waitlisted === undefined ? "Full." : `Full, ${problem.waitlisted} ahead of you on the waitlist.`,
        next: "waitlist",
      };
    case "waitlist_full":
      return { text: "The section and its waitlist are full.", next: "others" };
    case "outcome_unknown":
      return { text: "It is not certain whether this was saved. Look before you ask again.", next: "look" };
    case "no_answer":
      return { text: "No answer came, so it may or may not be saved. Asking again is safe.", next: "again" };
    case "overloaded":
    case "rate_limited":
      return { text: `The hub is busy and changed nothing.${wait(problem)}`, next: "again" };
    default:
      return { text: sentence(problem) };
  }
}

const swap = (clashing) => clashing.length === 1 ? { next: "swap", with: clashing[0] } : {};
const wait = ({ retry_after }) => retry_after > 0 ? ` Ask again in ${count(Number(retry_after), "second")}.` : "";

/** Any problem document as a sentence. */
export function sentence(problem) {
  switch (problem.code) {
    case "no_answer": return "No answer came from the hub. Check your connection.";
    case "bad_credentials": return "This user name and password do not go together.";
    case "unauthenticated": return "Your sign-in has ended. Sign in again.";
    case "rate_limited":
    case "overloaded": return `${problem.detail ?? "The hub is busy and changed nothing."}${wait(problem)}`;
  }
  const where = problem.field ? ` (${problem.field})` : "";
  const text = problem.detail ?? problem.title ?? `The hub answered ${problem.status}`;
  return `${text.replace(/[.\s]+$/, "")}${where && !text.includes(problem.field) ? where : ""}.`;
}
