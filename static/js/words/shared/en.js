// English texts of the page that a link to a student's schedule opens.

export default {
  "shared.title": "Class schedule - EduHub", "shared.heading": "Class schedule", "shared.loading": "Loading…",
  "shared.for": "Shared with {label} by the student. The link works until {end}. Each visit is recorded, and the student can see it.",
  "shared.ended": "This link no longer works or is incomplete. Ask the student for a new one.",
  "shared.failed": "Couldn't load the schedule. Check your connection, then reload this page.",
  "shared.none": "No classes in the current terms.",
  "shared.course": "Course", "shared.name": "Title", "shared.times": "Days, times, and rooms", "shared.state": "Status",
  "shared.enrolled": "Enrolled", "shared.waitlisted": "On the waitlist, no seat yet", "shared.offered": "Seat offered, not enrolled yet", "shared.cancelled": "Cancelled",
};
