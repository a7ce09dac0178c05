// The staff page: its four desks start once somebody of the staff is here.

import { $, put } from "./dom.js";
import { Alerts } from "./alerts.js";
import { AlertDesk } from "./alert-desk.js";
import { ImportDesk } from "./import-desk.js";
import { SectionDesk } from "./section-desk.js";
import { TermDesk } from "./term-desk.js";
import { may, note, start, views } from "./session.js";

const live = start({ form: $("sign-in"), onuser: (user) => arrive(user) });
const desk = new AlertDesk((alert) => alerts.show(alert));
const alerts = new Alerts(live, { cancel: (alert) => desk.cancel(alert) });
const sections = new SectionDesk(live);
const imports = new ImportDesk(live);
const terms = new TermDesk((items) => sections.offer(items));
views("terms");

async function arrive(user) {
  alerts.forget();
  $("desk").hidden = !may(user, "staff");
  put($("refused"), user && !may(user, "staff") && "This page is for the college's staff. Sign out, and sign in as somebody of the staff.");
  if (!may(user, "staff")) return;
  try {
    await terms.load();
    desk.reach();
    imports.resume();
  } catch (problem) {
    note(problem.message);
  }
}
