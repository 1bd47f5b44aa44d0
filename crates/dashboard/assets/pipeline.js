// The pipeline as it is: upstream -> producer -> topic -> consumer -> table, a line of nodes for each stream.

import { streamColour } from "./colours.js";
import { element, follow, said, setAttribute, setSaid, setText } from "./dom.js";
import { compact, count, plural, rate, sum } from "./format.js";
import { mark } from "./mark.js";
import { STAGES, pipes } from "./pipes.js";

const ORIGINS = {
  live: "read from the real service",
  simulated: "read from the offline simulator",
  generated: "invented by the producer itself",
};

/** { node, update(snapshot), close }. */
export function pipeline() {
  const heads = { broker: head("Topic", "topic"), consumer: head("Consumer", "consumer"), store: head("Table", "table") };
  const consumer = consumerNode();
  const bands = ["topic", "table"].map((stage) => element("div", { class: `band stage-${stage}` }));
  const list = element("ol", { class: "lines" });
  const stages = element("div", { class: "stages" },
    head("Upstream", "upstream").node, head("Producer", "producer").node, heads.broker.node, heads.consumer.node, heads.store.node,
    bands, list, consumer.node);
  const drawing = pipes(consumer.node);
  const node = element("div", { class: "pipeline" }, drawing.nodes, stages);
  let drawn = "";

  return {
    node,
    update(snapshot) {
      const services = new Map(snapshot.services.map((service) => [service.name, service]));
      const byRole = (role) => snapshot.services.find((service) => service.role === role);
      const [broker, store] = [byRole("broker"), byRole("store")];
      heads.broker.set(broker && "Kafka", broker);
      heads.store.set(store?.name === "files" ? "Files" : store && "Cassandra", store);
      const rows = follow(list, snapshot.streams, (stream) => stream.name, line, (row, stream) =>
        row.update(stream, { producer: services.get(stream.producer), broker, store, consumer: byRole("consumer") }));
      [...rows.values()].forEach((row, at) => row.node.style.setProperty("--row", at + 2));
      stages.style.setProperty("--lines", Math.max(1, rows.size));
      consumer.update(byRole("consumer"), snapshot.streams);
      drawing.setRates(new Map(snapshot.streams.flatMap((stream) => [
        [`${stream.name}/in`, stream.published_per_s], [`${stream.name}/out`, stream.stored_per_s]])));
      const now = JSON.stringify(snapshot.streams.map((stream) => [stream.name, stream.producer, stream.upstream]));
      if (now !== drawn) drawing.draw([...rows.values()]);
      drawn = now;
    },
    close: drawing.close,
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
  return {
    node,
    name: stream.name,
    colour,
    first: STAGES[0],
    anchor: (stage) => nodes[stage],
    update(stream, { producer, broker, store, consumer }) {
      // What others publish has no upstream that is known.
      this.first = STAGES[stream.upstream === null ? 1 : 0];
      nodes.upstream.hidden = stream.upstream === null;
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
