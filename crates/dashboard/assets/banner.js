// What is wrong -> a line at the top of each page: which service, why, since when.

import { element, follow, said, setSaid, setText } from "./dom.js";
import { clock, elapsed, plural } from "./format.js";
import { mark, stateWord } from "./mark.js";
import { sinceWords } from "./panel.js";

const SHOWN = 3;
// What others depend on comes first: it is mostly the cause.
const CAUSES = ["broker", "store"];

/** Fills `region`; returns { update(live) }. */
export function banner(region) {
  // Reasons count seconds: who listens is told only when others are in trouble than before.
  const announced = element("p", { class: "unseen", role: "status" });
  const outage = element("p", { class: "banner outage", hidden: true });
  const outageWords = element("strong");
  const outageFor = element("span");
  outage.append(outageWords, outageFor, element("span", {}, " What you see is from then; the page goes on by itself."));
  const list = element("ul");
  const more = element("a", { class: "banner-more", href: "#/services" });
  const troubles = element("div", { class: "banner troubles", hidden: true }, list, more);
  region.append(announced, outage, troubles);

  return {
    update(live) {
      const silent = live.silentSince !== null;
      outage.hidden = !silent;
      if (silent) {
        setText(outageWords, `The dashboard does not answer since ${clock(live.silentSince)}.`);
        setText(outageFor, ` ${elapsed((Date.now() - live.silentSince) / 1000)} ago.`);
      }
      const services = silent ? [] : inTrouble(live.snapshot?.services ?? []);
      setText(announced, announcement(silent, services, announced.textContent !== ""));
      troubles.hidden = services.length === 0;
      follow(list, services.slice(0, SHOWN), (service) => service.name, line, (row, service) => row.update(service, live.now()));
      more.hidden = services.length <= SHOWN;
      if (!more.hidden) setText(more, `and ${plural(services.length - SHOWN, "more service")}`);
    },
  };
}

function announcement(silent, services, before) {
  if (silent) return "The dashboard does not answer.";
  if (services.length > 0) return `Not working: ${services.map((service) => service.name).join(", ")}.`;
  return before ? "No service is in trouble any more." : "";
}

/** The services that do not work, what others depend on first. A yellow one works: its remark is told where it stands. */
export function inTrouble(services) {
  const weight = (service) => (CAUSES.includes(service.role) ? 0 : 1);
  return services.filter((service) => service.state === "red").sort((a, b) => weight(a) - weight(b));
}

function line(service) {
  const state = mark({ word: false });
  const name = element("a", { href: "#/services" }, said(service.name));
  const reason = element("bdi");
  const since = sinceWords();
  const node = element("li", {}, state.node, element("p", {}, name, ": ", reason, " ", since.node));
  return {
    node,
    update(service, now) {
      state.set(service.state);
      setSaid(reason, service.reason || stateWord(service.state));
      since.set(service.since, now);
    },
  };
}
