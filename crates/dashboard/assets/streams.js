// The streams of a snapshot -> one dense table: what flows, what waits, how late, and how it is.

import { streamColour } from "./colours.js";
import { element, follow, said, scrollable, setSaid, setText } from "./dom.js";
import { count, duration, milliseconds, rate } from "./format.js";
import { mark } from "./mark.js";

export const NOT_WRITTEN = "Messages on the topic that have become neither a row nor a dead letter yet.";
export const NOT_DURABLE =
  "Messages that are not yet proven to be on disk: those without a row, and those whose row can be read already. Offsets are committed after that, so some seconds' worth is normal.";

const COLUMNS = ["published", "stored", "total", "written", "durable", "age", "p50", "p99"];

/** { node, update(snapshot) }. */
export function streamTable() {
  const body = element("tbody");
  const empty = element("p", { class: "empty" }, "Waiting for the first record.");
  const group = (title, span, explained) => element("th", { scope: "colgroup", colspan: span, title: explained, class: "group" }, title);
  const number = (title, explained) => element("th", { scope: "col", class: "number", title: explained }, title);
  const table = element("table", { class: "dense" },
    element("caption", { class: "unseen" }, "The streams, as of now"),
    element("thead", {},
      element("tr", {},
        element("th", { scope: "col", rowspan: 2 }, "Stream"), group("Rate", 2),
        element("th", { scope: "col", rowspan: 2, class: "number", title: "Messages ever written to the topic" }, "Total"),
        group("Lag", 2), element("th", { scope: "col", rowspan: 2, class: "number", title: "Since the newest stored message was published" }, "Newest row"),
        group("Latency", 2, "From published to stored, over the last minute"), element("th", { scope: "col", rowspan: 2, class: "state" }, "State")),
      element("tr", {}, number("published"), number("stored"), number("not written", NOT_WRITTEN), number("not durable", NOT_DURABLE), number("p50"), number("p99"))),
    body);
  const note = element("dl", { class: "notes" },
    element("div", {}, element("dt", {}, "Not written"), element("dd", {}, NOT_WRITTEN)),
    element("div", {}, element("dt", {}, "Not durable"), element("dd", {}, NOT_DURABLE)),
    element("div", {}, element("dt", {}, "Latency"), element("dd", {}, "From published to stored, over the last minute: half of the messages were faster than p50, all but one in a hundred faster than p99.")));
  return {
    node: element("div", {}, scrollable("The streams, a table", table), empty, note),
    update(snapshot) {
      empty.hidden = snapshot.streams.some((stream) => stream.published > 0);
      follow(body, snapshot.streams, (stream) => stream.name, line, (row, stream) => row.update(stream));
    },
  };
}

function line(stream) {
  const cells = Object.fromEntries(COLUMNS.map((name) => [name, element("td", { class: "number" })]));
  const state = mark();
  const reason = element("bdi", { class: "reason" });
  const link = element("a", { href: `#/streams/${encodeURIComponent(stream.name)}` }, said(stream.name));
  const swatch = element("i", { class: "dot", "aria-hidden": "true" });
  swatch.style.setProperty("color", streamColour(stream.name));
  const node = element("tr", {},
    element("th", { scope: "row" }, swatch, link), COLUMNS.map((name) => cells[name]), element("td", { class: "state" }, state.node, reason));
  return {
    node,
    update(stream) {
      setText(cells.published, rate(stream.published_per_s));
      setText(cells.stored, rate(stream.stored_per_s));
      setText(cells.total, count(stream.published));
      setText(cells.written, count(stream.lag_written));
      setText(cells.durable, count(stream.lag_durable));
      setText(cells.age, duration(stream.newest_row_age_s));
      setText(cells.p50, milliseconds(stream.latency_p50_ms));
      setText(cells.p99, milliseconds(stream.latency_p99_ms));
      state.set(stream.state);
      setSaid(reason, stream.reason);
    },
  };
}
