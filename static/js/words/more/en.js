// English texts of features that few visits to the student's page need. Loaded with `student/more.js`.

export default {
  "filter.any": "Any", "filter.time": "Time of day", "filter.time.morning": "Morning, before noon", "filter.time.afternoon": "Afternoon, noon to 5 PM", "filter.time.evening": "Evening, from 5 PM",
  "filter.mode": "Format", "filter.mode.online": "Online", "filter.mode.person": "In person", "filter.campus": "Campus", "filter.credits": "Credits",
  "filter.instructor": "Instructor", "filter.fits": "Fits my schedule",
  "section.page": "Section page", "section.back": "Back to the list", "section.copy": "Copy link", "section.copied": "Link copied.",
  "section.print": "Print", "section.unknown": "There is no section {id}.",
  "watch.off": "Notify me when a seat opens", "watch.on": "Stop notifying me",
  "watch.started.granted": "You'll be notified when a seat opens in {section}, as long as this page is open in your browser.",
  "watch.started.default": "This page will show a message when a seat opens in {section}, as long as the page is open.",
  "watch.started.denied": "This page will show a message when a seat opens in {section}, as long as the page is open. Your browser doesn't allow notifications.",
  "watch.opened": { one: "A seat opened in {section}: {n} left.", other: "Seats opened in {section}: {n} left." }, "watch.show": "Show section",
  "watch.max": "You can get notifications for up to {n} sections. Turn one off first.",
};
