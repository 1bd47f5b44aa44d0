// Everything at one glance: the totals, the pipeline, the streams, the last minutes.

import { chart, historyPanel } from "../charts.js";
import { streamColour, streamDash } from "../colours.js";
import { element } from "../dom.js";
import { compact, count, milliseconds, rate, sum } from "../format.js";
import { values, watchHistory } from "../history.js";
import { figure, notice, panel } from "../panel.js";
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
    panel("Pipeline", drawing.node,
      element("p", { class: "quiet small" },
        "A dot is a message, up to 4 a second; above that dots grow denser and faster, not one for one. A line is as wide as it flows. ",
        element("b", {}, "live"), ": read from the real service. ",
        element("b", {}, "simulated"), ": from its offline double. ",
        element("b", {}, "generated"), ": invented by the producer.")),
    panel("Streams", table.node),
    historyPanel(history.use, state, charts));

  return {
    title: "Overview",
    node,
    update(snapshot) {
      const { streams } = snapshot;
      const all = (field) => sum(streams, (stream) => stream[field]);
      totals.published.set(rate(all("published_per_s")), `${compact(all("published"))} messages so far`);
      totals.stored.set(rate(all("stored_per_s")), `${compact(all("stored"))} since the consumer started`);
      totals.waiting.set(count(all("lag_written")), `not written; ${count(all("lag_durable"))} not durable`);
      totals.letters.set(count(all("dead_lettered")), "since the consumer started");
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
