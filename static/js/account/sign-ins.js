// The list of the user's own sign-ins, each of which the user can end.

import { $, button, h, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { dateTime, problemText } from "../words.js";

/**
 * The first name that a user agent contains counts: Edge, Opera and Chrome also name Safari, and iPhones also name Mac
 * OS X.
 */
const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["Mac OS X", "macOS"], ["CrOS", "ChromeOS"], ["Linux", "Linux"]];

/** Returns the name of a device, such as `Firefox on Windows`; the user agent itself if it is not a known browser. */
function deviceName(agent) {
  const find = (list) => list.find(([mark]) => agent.includes(mark))?.[1];
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  return browser && system ? t("sign_ins.device", { browser, system }) : agent.slice(0, 80) || t("sign_ins.unknown");
}

/** Loads and shows the list. */
export async function showSignIns() {
  const say = (tone, text) => { $("sign-ins-status").className = tone; put($("sign-ins-status"), text); };
  const { epoch } = api;
  let items;
  try {
    ({ items } = await api.get("/api/v1/me/sign-ins"));
  } catch (problem) {
    return say("stop", problemText(problem));
  }
  if (epoch !== api.epoch) return;
  const end = async (id, device, pressed) => {
    pressed.disabled = true;
    try {
      await api.delete(`/api/v1/me/sign-ins/${id}`);
      say("good", t("sign_ins.ended", { device }));
    } catch (problem) {
      if (problem.status !== 404) {
        pressed.disabled = false;
        return say("stop", problemText(problem));
      }
    }
    showSignIns();
  };
  put($("sign-ins"), items.length === 0 && h("li", null, t("sign_ins.none")), items.map(({ id, device, address, since, last_seen, current }) => {
    const name = deviceName(device);
    const ending = button(t("sign_ins.end"), () => end(id, name, ending), { class: "quiet", "aria-label": t("sign_ins.end.for", { device: name }) });
    return h("li", null, h("div", null, h("strong", null, name), h("small", null, t("sign_ins.since", { since: dateTime(since), address, seen: dateTime(last_seen) }))),
      current ? h("span", { class: "good" }, t("sign_ins.current")) : ending);
  }));
}
