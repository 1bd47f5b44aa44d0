// Kafka's topics: partitions, offsets, the group that reads them; and the newest records of one.

import { path, poll } from "../api.js";
import { element, follow, said, scrollable, setSaid, setText } from "../dom.js";
import { finder } from "../finder.js";
import { count, plural, sum } from "../format.js";
import { message } from "../message.js";
import { notice, pageHead, panel, tableHead } from "../panel.js";

const ASK_EVERY = 5000;

const number = (title, explained) => ({ title, number: true, explained });

export function topicsView() {
  const state = notice("Asking Kafka.");
  const group = element("p", { class: "quiet" });
  const members = element("tbody");
  const topics = element("tbody");
  const membersBox = scrollable("Members of the group, a table",
    element("table", { class: "dense" }, element("caption", { class: "unseen" }, "Members of the consumer group"), tableHead("Member", "Host", number("Partitions")), members));
  const asking = poll("/api/topics", ASK_EVERY, (answer) => {
    state[answer.topics.length === 0 ? "say" : "clear"]("There is no topic yet.");
    showGroup(answer.group);
    follow(topics, answer.topics, (topic) => topic.name, topicRow, (row, topic) => row.update(topic));
  }, (error) => state.fail(error));

  function showGroup(group_) {
    membersBox.hidden = !group_ || group_.members.length === 0;
    if (!group_) return setText(group, "Nothing is known of the consumer group.");
    setSaid(group, `${group_.name}: ${group_.state}, ${plural(group_.members.length, "member")}`);
    follow(members, group_.members, (member) => `${member.client} ${member.host}`, memberRow, (row, member) => setText(row.partitions, count(member.partitions)));
  }

  return {
    title: "Topics",
    node: element("div", {},
      pageHead("Topics", "What Kafka holds, and how far the consumer has come."), state.node,
      panel("Topics", scrollable("Topics, a table",
        element("table", { class: "dense" }, element("caption", { class: "unseen" }, "Topics of Kafka"),
          tableHead("Topic", "Of stream", number("Partitions"), number("Records", "Between the oldest offset kept and the end"), number("Lag", "Records after the committed offsets"), "Read by"), topics))),
      panel("Consumer group", group, membersBox)),
    close: asking.stop,
  };
}

function memberRow(member) {
  const partitions = element("td", { class: "number" });
  return { partitions, node: element("tr", {}, element("th", { scope: "row" }, said(member.client)), element("td", {}, said(member.host)), partitions) };
}

function topicRow(topic) {
  const [partitions, records, lag] = [0, 1, 2].map(() => element("td", { class: "number" }));
  const readers = element("td");
  const stream = topic.stream === null ? "none" : element("a", { href: `#/streams/${encodeURIComponent(topic.stream)}` }, said(topic.stream));
  const node = element("tr", {},
    element("th", { scope: "row" }, element("a", { href: `#/topics/${encodeURIComponent(topic.name)}` }, said(topic.name)), topic.dead_letters ? element("span", { class: "tag" }, "dead letters") : null),
    element("td", {}, stream), partitions, records, lag, readers);
  return {
    node,
    update(topic) {
      setText(partitions, count(topic.partitions.length));
      setText(records, count(sum(topic.partitions, (partition) => difference(partition.end, partition.low))));
      setText(lag, count(sum(topic.partitions, (partition) => partition.lag)));
      setSaid(readers, [...new Set(topic.partitions.map((partition) => partition.member).filter(Boolean))].join(", ") || "nobody");
    },
  };
}

export function topicView(name) {
  const state = notice("Asking Kafka.");
  const partitions = element("tbody");
  const asking = poll("/api/topics", ASK_EVERY, (answer) => {
    const topic = answer.topics.find((topic) => topic.name === name);
    state[topic ? "clear" : "say"]("Kafka has no topic of this name.");
    follow(partitions, topic?.partitions ?? [], (partition) => partition.id, partitionRow, (row, partition) => row.update(partition));
  }, (error) => state.fail(error));
  const records = newestRecords(name);

  return {
    title: name,
    node: element("div", {},
      pageHead(said(name), element("a", { href: "#/topics" }, "All topics")), state.node,
      panel("Partitions", scrollable("Partitions, a table",
        element("table", { class: "dense" }, element("caption", { class: "unseen" }, "Partitions and their offsets"),
          tableHead("Partition", number("Oldest", "The oldest offset that is kept"), number("End", "The offset of the next record"),
            number("Committed", "Up to here everything is in the table for good"), number("Lag"), "Read by"), partitions))),
      records.node),
    close() {
      asking.stop();
      records.close();
    },
  };
}

function partitionRow() {
  const [id, low, end, committed, lag] = Array.from({ length: 5 }, (_, at) => (at === 0 ? element("th", { scope: "row" }) : element("td", { class: "number" })));
  const member = element("td");
  return {
    node: element("tr", {}, id, low, end, committed, lag, member),
    update(partition) {
      setText(id, String(partition.id));
      setText(low, count(partition.low));
      setText(end, count(partition.end));
      setText(committed, count(partition.committed));
      setText(lag, partition.beyond_end ? "committed beyond the end" : count(partition.lag));
      setSaid(member, partition.member ?? "nobody");
    },
  };
}

function newestRecords(topic) {
  const place = element("div", { class: "messages" });
  const where = (record) => `${record.partition}:${record.offset}`;
  return finder({
    title: "Newest records",
    label: "Search the newest records",
    address: path("topics", topic, "records"),
    found: "records",
    noun: "record",
    extent: "The newest first. Up to 1,000 are searched: keys, headers, and the first 16 KiB of values.",
    empty: "The topic is empty.",
    place,
    // A topic that was created anew has other records at the same offsets.
    show: (answer) => follow(place, answer.records, (record) => `${where(record)} ${record.at}`, (record) => message({ ...record, place: where(record) })),
  });
}

function difference(a, b) {
  return a === null || b === null ? null : a - b;
}
