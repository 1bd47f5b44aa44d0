// The address -> one of the views. The frame around them (navigation, banner, footer) follows each snapshot.

import { banner, inTrouble } from "./banner.js";
import { themeButton } from "./colours.js";
import { element, setAttribute, setText } from "./dom.js";
import { clock, sum, utc } from "./format.js";
import { live } from "./live.js";
import { pageHead } from "./panel.js";
import { dataView } from "./views/data.js";
import { deadLettersView } from "./views/dead-letters.js";
import { overviewView } from "./views/overview.js";
import { servicesView } from "./views/services.js";
import { streamView } from "./views/stream.js";
import { tableView, tablesView } from "./views/tables.js";
import { topicView, topicsView } from "./views/topics.js";

// Each view is a function of the name in the address: { title, node, update?(snapshot), close?() }.
const ROUTES = {
  "": { all: overviewView },
  streams: { one: streamView },
  topics: { all: topicsView, one: topicView },
  tables: { all: tablesView, one: tableView },
  "dead-letters": { all: deadLettersView },
  data: { all: dataView },
  services: { all: servicesView },
};

const byId = (id) => document.getElementById(id);
const content = byId("content");
const top = banner(byId("banner"));
let view = null;

function open() {
  const [page, name = ""] = location.hash.replace(/^#\/?/, "").split("/");
  const route = ROUTES[page];
  const make = name === "" ? route?.all : route?.one;
  const first = view === null;
  view?.close?.();
  view = (make ?? unknownView)(decode(name));
  content.replaceChildren(view.node);
  document.title = page === "" ? "Tributary" : `${view.title} · Tributary`;
  for (const link of document.querySelectorAll("[data-page]")) {
    const here = link.dataset.page === page || (page === "streams" && link.dataset.page === "");
    setAttribute(link, "aria-current", here && (name === "" ? "page" : "true"));
    if (here) link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  if (live.snapshot) view.update?.(live.snapshot);
  if (first) return;
  scrollTo(0, 0);
  content.querySelector("h1")?.focus({ preventScroll: true });
}

function decode(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function unknownView() {
  return { title: "Not found", node: element("div", {}, pageHead("There is no such page", "Choose one above.")) };
}

function frame() {
  top.update(live);
  const silent = live.silentSince !== null;
  setAttribute(document.body, "data-silent", silent);
  const heard = byId("heard");
  setText(heard, silent ? "not connected" : live.snapshot ? clock(live.snapshot.at) : "connecting");
  setAttribute(heard, "data-heard", silent ? "no" : live.snapshot ? "yes" : "waiting");
  if (!live.snapshot) return;
  setAttribute(heard, "title", `The newest snapshot: ${utc(live.snapshot.at)}`);
  badge("dead-letters-count", sum(live.snapshot.streams, (stream) => stream.dead_lettered) ?? 0);
  badge("services-count", inTrouble(live.snapshot.services).length);
  setText(byId("about"), `Tributary ${live.snapshot.version}. This dashboard runs since ${clock(live.snapshot.started_at)} and shows what the services report.`);
}

function badge(id, number) {
  byId(id).parentElement.hidden = number === 0;
  setText(byId(id), String(number));
}

themeButton(byId("theme"));
// The address belongs to the router, so the skip link moves the focus by itself.
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  content.focus();
});
addEventListener("hashchange", open);
live.subscribe(() => {
  frame();
  if (live.snapshot && live.silentSince === null) view.update?.(live.snapshot);
});
open();
live.start();
