// The administration page: is it well, who is connected, what was done.

import { $, put } from "./dom.js";
import { Audit } from "./audit.js";
import { Health } from "./health.js";
import { PloneDesk } from "./plone-desk.js";
import { Sessions } from "./sessions.js";
import { may, start, views } from "./session.js";

start({ form: $("sign-in"), onuser: (user) => arrive(user) });
const plone = new PloneDesk();
const parts = [new Health(), plone, new Sessions(), new Audit()];
$("plone-pull").addEventListener("click", () => plone.pull());
views("sessions");

function arrive(user) {
  const allowed = may(user, "admin");
  $("desk").hidden = !allowed;
  put($("refused"), user && !allowed && "This page is for administrators. Sign out, and sign in as one.");
  for (const part of parts) part.run(allowed);
}
