// The administration page: is it well, who is connected, what was done, and the demonstration.

import { $, put } from "./dom.js";
import { api } from "./api.js";
import { Alerts } from "./alerts.js";
import { Audit } from "./admin/audit.js";
import { Demo } from "./admin/demo.js";
import { Health } from "./admin/health.js";
import { Now } from "./admin/now.js";
import { People } from "./admin/people.js";
import { PloneDesk } from "./admin/plone-desk.js";
import { Sessions } from "./admin/sessions.js";
import { setZone } from "./i18n.js";
import { pollWithout } from "./poll.js";
import { may, measureTop, note, start, views } from "./session.js";
import { sentence } from "./words.js";

const live = start({ form: $("sign-in"), onuser: (user) => arrive(user), why: () => "For administrators: how the hub is, who is connected, and what was done." });
const alerts = new Alerts(live);
const plone = new PloneDesk();
const now = new Now(live);
const parts = [new Health(), now, plone, new Sessions(), new Demo(), new People(), new Audit()];
$("plone-pull").addEventListener("click", () => plone.pull());
pollWithout(live, () => Promise.all([now.read(), alerts.read()]));
measureTop();
views("now");

async function arrive(user) {
  alerts.forget(user);
  const allowed = may(user, "admin");
  $("desk").hidden = !allowed;
  put($("refused"), user && !allowed && "This page is for administrators. Sign out, and sign in as one.");
  if (allowed) await college();
  for (const part of parts) part.run(allowed, user);
}

/** The college's name, and its zone: times are told in it. */
async function college() {
  try {
    const { college } = await api.get("/api/v1/terms");
    if (college?.timezone) setZone(college.timezone);
    put($("college"), college?.name);
  } catch (problem) {
    note(sentence(problem));
  }
}
