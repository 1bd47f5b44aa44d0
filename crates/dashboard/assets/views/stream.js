// One stream: where it comes from and goes, its numbers, and its last minutes.

import { chart, historyPanel } from "../charts.js";
import { streamColour } from "../colours.js";
import { element, follow, said, setAttribute, setSaid, setText } from "../dom.js";
import { compact, count, duration, milliseconds, rate } from "../format.js";
import { values, watchHistory } from "../history.js";
import { mark } from "../mark.js";
import { figure, notice } from "../panel.js";
import { NOT_DURABLE, NOT_WRITTEN } from "../streams.js";

const CHARTS = [
  { title: "Rate", about: "messages a second", kind: "rate", format: rate, fields: { published: "published_per_s", stored: "stored_per_s" } },
  { title: "Lag", about: "messages not written yet", kind: "lag", format: compact, fields: { "not written": "lag_written" } },
  { title: "Latency", about: "published to stored", kind: "latency", format: milliseconds, fields: { p50: "latency_p50_ms", p99: "latency_p99_ms" } },
];

export function streamView(name) {
  const figures = {
    published: figure("Published"), stored: figure("Stored"), written: figure("Not written"), durable: figure("Not durable"),
    age: figure("Newest row"), latency: figure("Latency"), letters: figure("Dead letters"), expired: figure("Expired"),
  };
  setAttribute(figures.written.node, "title", NOT_WRITTEN);
  setAttribute(figures.durable.node, "title", NOT_DURABLE);
  const about = element("p", { class: "quiet" });
  const origin = element("span", { class: "origin", hidden: true });
  const state = mark();
  const reason = element("bdi");
  const places = { upstream: element("dd"), producer: element("dd"), topic: element("dd"), tables: element("dd") };
  const charts = CHARTS.map((options) => ({ ...options, drawing: chart(options) }));
  const past = notice("Reading the history.");
  const absent = notice("Waiting for the first record.");
  const body = element("div", { hidden: true });

  const history = watchHistory(
    (answer) => {
      if (answer.streams[name]) past.clear();
      else past.say("Nothing to draw yet: nothing is known of this stream's past.");
      charts.forEach(({ fields, drawing }) => drawing.show(answer.times, Object.entries(fields).map(([label, field], at) => ({
        name: label, colour: at === 0 ? streamColour(name) : "var(--quiet)", dash: at === 0 ? [] : [5, 3], values: values(answer, name, field),
      }))));
    },
    (error) => past.fail(error),
  );
  history.use("15m");

  body.append(
    element("p", { class: "state-line" }, state.node, reason),
    element("dl", { class: "facts" }, Object.entries({ Upstream: places.upstream, Producer: places.producer, Topic: places.topic, Table: places.tables })
      .map(([title, value]) => element("div", {}, element("dt", {}, title), value))),
    element("dl", { class: "figures" }, Object.values(figures).map((one) => one.node)),
    historyPanel(history.use, past, charts));

  return {
    title: name,
    node: element("div", {},
      element("header", { class: "page-head" }, element("h1", { tabindex: "-1" }, said(name), origin), about), absent.node, body),
    update(snapshot) {
      const stream = snapshot.streams.find((stream) => stream.name === name);
      body.hidden = !stream;
      if (!stream) return absent.say("There is no stream of this name: the dashboard knows no such topic and no route that reads it.");
      absent.clear();
      setSaid(about, stream.about || "A topic of your own, which nobody here publishes.");
      origin.hidden = !stream.origin;
      setText(origin, stream.origin ?? "");
      setAttribute(origin, "data-origin", stream.origin);
      state.set(stream.state);
      setSaid(reason, stream.reason);
      setSaid(places.upstream, stream.upstream ?? "none of ours");
      setSaid(places.producer, stream.producer ?? "others");
      links(places.topic, "topics", [stream.topic]);
      links(places.tables, "tables", stream.tables);
      figures.published.set(rate(stream.published_per_s), `${count(stream.published)} in all`);
      figures.stored.set(rate(stream.stored_per_s), `${count(stream.stored)} since the consumer started`);
      figures.written.set(count(stream.lag_written), "on the topic, not in the table");
      figures.durable.set(count(stream.lag_durable), "not yet proven to be on disk");
      figures.age.set(duration(stream.newest_row_age_s), "since it was published");
      figures.latency.set(milliseconds(stream.latency_p50_ms), `p99 ${milliseconds(stream.latency_p99_ms)}`);
      figures.letters.set(count(stream.dead_lettered), "since the consumer started");
      figures.expired.set(count(stream.expired), "older than the table keeps");
    },
    close() {
      history.stop();
      for (const { drawing } of charts) drawing.close();
    },
  };
}

function links(node, page, names) {
  if (names.length === 0) return setText(node, "not known yet");
  if (node.firstElementChild === null) node.replaceChildren();
  follow(node, names, (name) => name, (name) => ({ node: element("a", { href: `#/${page}/${encodeURIComponent(name)}` }, said(name)) }));
}
