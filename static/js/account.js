// The account page: the user's own password, second factor, sign-ins, guardian links, and history of attempts.

import { $, put } from "./dom.js";
import { api } from "./api.js";
import { onLanguage, setZone, t } from "./i18n.js";
import { startPage } from "./session.js";
import { problemText } from "./words.js";
import { showAttempts } from "./account/attempts.js";
import { showFactor } from "./account/factor.js";
import { showGuardianLinks } from "./account/guardian.js";
import { showPassword } from "./account/password.js";
import { showSignIns } from "./account/sign-ins.js";

/** The parts that show data of one user. */
const PARTS = ["password", "factor", "guardian", "attempts", "attempts-status", "sign-ins", "sign-ins-status"];

let user = null;

/** Draws every part for the current user and language. */
async function show() {
  $("account").hidden = !user;
  if (!user) {
    // The forms of this user must not appear, even for a moment, when another one signs in.
    for (const part of PARTS) put($(part));
    return;
  }
  showSignIns();
  showGuardianLinks(user.role === "student");
  showAttempts(user.role === "student");
  const { epoch } = api;
  let local, enabled;
  try {
    ({ local, enabled } = await api.get("/api/v1/me/totp"));
  } catch (problem) {
    return put($("sign-ins-status"), problemText(problem));
  }
  if (epoch !== api.epoch) return;
  $("own").hidden = !local;
  $("elsewhere").hidden = local;
  if (!local) return;
  showPassword(showSignIns);
  showFactor(enabled);
}

startPage({ form: $("sign-in"), introduction: () => t("account.visitor"), onuser: (found) => { user = found; show(); } });
onLanguage(show);
api.get("/api/v1/terms").then(({ college }) => {
  $("college").textContent = college.name;
  setZone(college.timezone);
  if (!user) return;
  showSignIns();
  showAttempts(user.role === "student");
}, () => { /* Without the response, times are in the browser's own zone. */ });
