// Everything at one glance: the totals, the pipeline, the streams, the last minutes.

import { chart, rangeSwitch } from "../charts.js";
import { streamColour, streamDash } from "../colours.js";
import { element } from "../dom.js";
import { compact, count, milliseconds, rate } from "../format.js";
import { values, watchHistory } from "../history.js";
import { figure, notice } from "../panel.js";
import { pipeline } from "../pipeline.js";
import { streamTable } from "../streams.js";

const CHARTS = [
  { field: "stored_per_s", title: "Stored", about: "messages a second, logarithmic", kind: "rate", format: rate },
  { field: "lag_written", title: "Lag", about: "messages not written yet, logarithmic", kind: "lag", format: compact },
  { field: "latency_p99_ms", title: "Latency", about: "p99, published to stored, logarithmic", kind: "latency", format: milliseconds },
];

export function overviewView() {
  const totals = {
    published: figure("Published"),
    stored: figure("Stored"),
    waiting: figure("Waiting"),
    letters: figure("Dead letters"),
  };
  const drawing = pipeline();
  const table = streamTable();
  const charts = CHARTS.map((options) => ({ ...options, drawing: chart({ ...options, logarithmic: true }) }));
  const state = notice("Reading the history.");
  const history = watchHistory(
    (past) => {
      const streams = Object.keys(past.streams);
      const nothing = streams.every((stream) => values(past, stream, "published_per_s").every((value) => value === null));
      if (nothing) state.say("Nothing to draw yet: waiting for the first record.");
      else state.clear();
      for (const { field, drawing } of charts) {
        drawing.show(past.times, streams.map((stream) => ({ name: stream, colour: streamColour(stream), dash: streamDash(stream), values: values(past, stream, field) })));
      }
    },
    (error) => state.fail(error),
  );
  history.use("15m");

  const node = element("div", {},
    element("h1", { tabindex: "-1", class: "unseen" }, "Overview"),
    element("dl", { class: "figures" }, Object.values(totals).map((total) => total.node)),
    element("section", { class: "panel", "aria-labelledby": "pipeline-title" },
      element("h2", { id: "pipeline-title" }, "Pipeline"),
      drawing.node,
      element("p", { class: "quiet small" },
        "A dot is a message, up to 4 a second; above that dots grow denser and faster, not one for one. A line is as wide as it flows. ",
        element("b", {}, "live"), ": read from the real service. ",
        element("b", {}, "simulated"), ": from its offline double. ",
        element("b", {}, "generated"), ": invented by the producer.")),
    element("section", { class: "panel", "aria-labelledby": "streams-title" }, element("h2", { id: "streams-title" }, "Streams"), table.node),
    element("section", { class: "panel", "aria-labelledby": "history-title" },
      element("div", { class: "panel-head" }, element("h2", { id: "history-title" }, "History"), rangeSwitch((range) => history.use(range))),
      state.node, element("div", { class: "charts" }, charts.map(({ drawing }) => drawing.node))));

  return {
    title: "Overview",
    node,
    update(snapshot) {
      const { streams } = snapshot;
      const sum = (field) => streams.reduce((total, stream) => (stream[field] === null ? total : (total ?? 0) + stream[field]), null);
      totals.published.set(rate(sum("published_per_s")), `${compact(sum("published"))} messages so far`);
      totals.stored.set(rate(sum("stored_per_s")), `${compact(sum("stored"))} since the consumer started`);
      totals.waiting.set(count(sum("lag_written")), `not written; ${count(sum("lag_durable"))} not durable`);
      totals.letters.set(count(sum("dead_lettered")), "since the consumer started");
      drawing.update(snapshot);
      table.update(snapshot);
    },
    close() {
      history.stop();
      drawing.close();
      for (const { drawing } of charts) drawing.close();
    },
  };
}
