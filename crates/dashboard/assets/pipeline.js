// The pipeline as it is: upstream -> producer -> topic -> consumer -> table, a line a stream, drawn as wide as it flows.

import { onThemeChange, resolved, streamColour } from "./colours.js";
import { element, follow, said, setAttribute, setSaid, setText, shape } from "./dom.js";
import { compact, count, plural, rate, sum } from "./format.js";
import { live } from "./live.js";
import { mark } from "./mark.js";
import { particles, pipeWidth } from "./particles.js";

const STAGES = ["upstream", "producer", "topic", "port", "table"];
const ORIGINS = {
  live: "read from the real service",
  simulated: "read from the offline simulator",
  generated: "invented by the producer itself",
};

/** { node, update(snapshot), close }. */
export function pipeline() {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const pipes = shape("svg", { class: "pipes", "aria-hidden": "true" });
  const heads = { broker: head("Topic", "topic"), consumer: head("Consumer", "consumer"), store: head("Table", "table") };
  const consumer = consumerNode();
  const bands = ["topic", "table"].map((stage) => element("div", { class: `band stage-${stage}` }));
  const list = element("ol", { class: "lines" });
  const stages = element("div", { class: "stages" },
    head("Upstream", "upstream").node, head("Producer", "producer").node, heads.broker.node, heads.consumer.node, heads.store.node,
    bands, list, consumer.node);
  const node = element("div", { class: "pipeline" }, pipes, canvas, stages);

  const motion = particles(canvas);
  let rows = new Map();
  let drawn = "";

  const draw = () => {
    const flows = [];
    const paths = [];
    const origin = node.getBoundingClientRect();
    const shared = consumer.node.getBoundingClientRect();
    const place = (row, stage, at) => {
      const box = (stage === "port" && shared.width > 0 ? shared : row.anchor(stage).getBoundingClientRect());
      const middle = box.top + box.height / 2 - origin.top;
      // Where the consumer is one box for all, the lines enter it close together, like the arms of a river.
      const y = box === shared ? middle + (at - (rows.size - 1) / 2) * Math.min(20, (shared.height - 24) / rows.size) : middle;
      return { left: box.left - origin.left, right: box.right - origin.left, y };
    };
    [...rows.values()].forEach((row, at) => {
      const from = row.published ? STAGES : STAGES.slice(1);
      const places = new Map(from.map((stage) => [stage, place(row, stage, at)]));
      const split = from.indexOf("topic");
      for (const [part, stagesOf] of [["in", from.slice(0, split + 1)], ["out", from.slice(split)]]) {
        const path = shape("path", { d: curve(stagesOf.map((stage) => places.get(stage))), class: "pipe" });
        path.style.setProperty("stroke", row.colour);
        paths.push(path);
        row.pipes[part] = path;
        flows.push({ key: `${row.name}/${part}`, path, colour: resolved(row.colour) });
      }
    });
    pipes.replaceChildren(...paths);
    motion.setPaths(flows);
    for (const row of rows.values()) row.draw();
  };

  const resize = new ResizeObserver(draw);
  resize.observe(stages);
  const unsubscribe = [onThemeChange(draw), live.subscribe(() => motion.hold(live.silentSince !== null))];

  return {
    node,
    update(snapshot) {
      const services = new Map(snapshot.services.map((service) => [service.name, service]));
      const byRole = (role) => snapshot.services.find((service) => service.role === role);
      const [broker, store] = [byRole("broker"), byRole("store")];
      heads.broker.set(broker && "Kafka", broker);
      heads.store.set(store?.name === "files" ? "Files" : store && "Cassandra", store);
      rows = follow(list, snapshot.streams, (stream) => stream.name, line, (row, stream) =>
        row.update(stream, { producer: services.get(stream.producer), broker, store, consumer: byRole("consumer") }));
      [...rows.values()].forEach((row, at) => row.node.style.setProperty("--row", at + 2));
      stages.style.setProperty("--lines", Math.max(1, rows.size));
      consumer.update(byRole("consumer"), snapshot.streams);
      motion.setRates(new Map(snapshot.streams.flatMap((stream) => [
        [`${stream.name}/in`, stream.published_per_s], [`${stream.name}/out`, stream.stored_per_s]])));
      const now = JSON.stringify(snapshot.streams.map((stream) => [stream.name, stream.producer, stream.upstream]));
      if (now !== drawn) draw();
      else for (const row of rows.values()) row.draw();
      drawn = now;
    },
    close() {
      motion.close();
      resize.disconnect();
      for (const stop of unsubscribe) stop();
    },
  };
}

function head(title, stage) {
  const state = mark({ word: true });
  const name = element("span", { class: "head-name" }, title);
  const detail = element("span", { class: "head-detail" }, element("span", {}, ""), state.node);
  detail.hidden = true;
  return {
    node: element("div", { class: `stage-head stage-${stage}` }, name, detail),
    set(title, service) {
      detail.hidden = !service;
      if (!service) return;
      setText(detail.firstChild, title);
      state.set(service.state);
    },
  };
}

function consumerNode() {
  const state = mark();
  const [instances, stored, waiting] = [element("span"), element("span"), element("span")];
  const node = element("a", { class: "node stage-consumer", href: "#/services" },
    element("span", { class: "node-name" }, "consumer"), state.node, instances, stored, waiting);
  return {
    node,
    update(service, streams) {
      state.set(service?.state);
      const all = (field) => sum(streams, (stream) => stream[field]);
      setText(instances, service ? plural(service.instances, "instance") : "not known yet");
      setText(stored, `${rate(all("stored_per_s"))} stored`);
      setText(waiting, `${count(all("lag_written"))} waiting`);
    },
  };
}

/** The nodes of one stream, from left to right. */
function line(stream) {
  const states = Object.fromEntries(STAGES.map((stage) => [stage, mark({ word: false })]));
  const names = Object.fromEntries(STAGES.map((stage) => [stage, element("bdi", { class: "node-name" })]));
  const details = Object.fromEntries(STAGES.map((stage) => [stage, element("span", { class: "node-detail" })]));
  const badge = element("span", { class: "origin" });
  const nodes = Object.fromEntries(STAGES.map((stage) => [stage,
    element(stage === "upstream" || stage === "port" ? "span" : "a", { class: `node stage-${stage}` }, states[stage].node, names[stage], details[stage])]));
  details.upstream.append(badge);
  nodes.producer.href = `#/streams/${encodeURIComponent(stream.name)}`;
  const title = element("span", { class: "line-name" }, said(stream.name), element("span", { class: "quiet" }));
  const node = element("li", {}, title, STAGES.map((stage) => nodes[stage]));
  const colour = streamColour(stream.name);
  node.style.setProperty("--stream", colour);
  const rates = { in: null, out: null };
  return {
    node,
    name: stream.name,
    colour,
    published: true,
    pipes: {},
    anchor: (stage) => nodes[stage],
    draw() {
      for (const part of ["in", "out"]) {
        if (!this.pipes[part]) continue;
        setAttribute(this.pipes[part], "stroke-width", pipeWidth(rates[part]).toFixed(1));
        setAttribute(this.pipes[part], "data-flow", rates[part] > 0 ? "flows" : "dry");
      }
    },
    update(stream, { producer, broker, store, consumer }) {
      this.published = stream.upstream !== null;
      rates.in = stream.published_per_s;
      rates.out = stream.stored_per_s;
      nodes.upstream.hidden = !this.published;
      setSaid(names.upstream, stream.upstream);
      setAttribute(names.upstream, "title", stream.upstream);
      badge.hidden = !stream.origin;
      setText(badge, stream.origin ?? "");
      setAttribute(badge, "data-origin", stream.origin);
      setAttribute(badge, "title", ORIGINS[stream.origin]);
      states.upstream.set(producer?.parts.find((part) => part.name === "upstream")?.state ?? producer?.state);

      setSaid(names.producer, stream.producer ?? "others");
      setAttribute(nodes.producer, "data-foreign", stream.producer === null);
      states.producer.set(producer?.state ?? null);
      setText(details.producer, producer?.paused ? "paused" : rate(stream.published_per_s));

      nodes.topic.href = `#/topics/${encodeURIComponent(stream.topic)}`;
      setSaid(names.topic, stream.topic);
      setAttribute(names.topic, "title", stream.topic);
      states.topic.set(broker?.state);
      setText(details.topic, compact(stream.published));
      setAttribute(details.topic, "title", `${count(stream.published)} messages ever written to the topic`);

      states.port.set(consumer?.state);
      const table = stream.tables[0];
      if (table) nodes.table.href = `#/tables/${encodeURIComponent(table)}`;
      else nodes.table.removeAttribute("href");
      setSaid(names.table, table ? table.slice(table.indexOf(".") + 1) : "not known yet");
      setAttribute(names.table, "title", stream.tables.join(", "));
      states.table.set(store?.state);
      const others = stream.tables.length > 1 ? `, ${plural(stream.tables.length - 1, "more table")}` : "";
      setText(details.table, rate(stream.stored_per_s) + others);
      setText(title.lastChild, ` ${rate(stream.published_per_s)} in, ${rate(stream.stored_per_s)} stored`);
    },
  };
}

/** From the middle of the first place to the middle of the last, bent between them. */
function curve(places) {
  const [first, last] = [places[0], places.at(-1)];
  let path = `M${(first.left + first.right) / 2} ${first.y}`;
  for (let at = 1; at < places.length; at++) {
    const [a, b] = [places[at - 1], places[at]];
    const middle = (a.right + b.left) / 2;
    path += `H${a.right}C${middle} ${a.y} ${middle} ${b.y} ${b.left} ${b.y}`;
  }
  return `${path}H${(last.left + last.right) / 2}`;
}
