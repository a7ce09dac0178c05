// The administration page: creates its views and starts them for administrators.

import { $, put } from "./dom.js";
import { api } from "./api.js";
import { Alerts } from "./alerts.js";
import { Audit } from "./admin/audit.js";
import { Demo } from "./admin/demo.js";
import { FirstSteps } from "./admin/first-steps.js";
import { Health } from "./admin/health.js";
import { Hubs } from "./admin/hubs.js";
import { Metrics } from "./admin/metrics.js";
import { PloneView } from "./admin/plone.js";
import { Sessions } from "./admin/sessions.js";
import { Users } from "./admin/users.js";
import { setZone, t } from "./i18n.js";
import { pollWhileDisconnected } from "./poll.js";
import { restoreForms } from "./reload.js";
import { hasRole, trackHeaderHeight, showNote, startPage, setUpViews } from "./session.js";
import { problemText } from "./words.js";

const live = startPage({
  form: $("sign-in"), onuser: (user) => onUser(user),
  introduction: () => t("admin.about"),
});
const alerts = new Alerts(live);
const metrics = new Metrics(live);
const views = [new FirstSteps(live), new Health(live), new Hubs(), metrics, new PloneView(), new Sessions(), new Demo(), new Users(), new Audit()];
pollWhileDisconnected(live, () => Promise.all([metrics.poll(), alerts.refresh()]));
trackHeaderHeight();
setUpViews("now");

async function onUser(user) {
  alerts.setUser(user);
  const allowed = hasRole(user, "admin");
  $("desk").hidden = !allowed;
  put($("no-access"), user && !allowed && t("admin.no_access"));
  const named = loadCollege();
  if (allowed) await named;
  for (const view of views) view.run(allowed, user);
  if (allowed) restoreForms(user);
}

/** Loads the college's name and time zone. All times are shown in that zone. */
async function loadCollege() {
  try {
    const { college } = await api.get("/api/v1/terms");
    if (college?.timezone) setZone(college.timezone);
    put($("college"), college?.name);
  } catch (problem) {
    showNote(problemText(problem));
  }
}
