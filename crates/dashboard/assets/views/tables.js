// The tables that the streams fill, and the rows of one.

import { path, poll } from "../api.js";
import { appendVisible, element, follow, said, scrollable } from "../dom.js";
import { finder } from "../finder.js";
import { UNKNOWN, beginning } from "../format.js";
import { notice, pageHead, panel, tableHead } from "../panel.js";

const ASK_EVERY = 15000;
const CELL = 120;

export function tablesView() {
  const state = notice("Asking the store.");
  const body = element("tbody");
  const asking = poll("/api/tables", ASK_EVERY, (tables) => {
    state[tables.length === 0 ? "say" : "clear"]("There is no table yet: waiting for the first record.");
    follow(body, tables, (table) => table.name, tableRow);
  }, (error) => state.fail(error));
  return {
    title: "Tables",
    node: element("div", {},
      pageHead("Tables", "Where the records end: one row a key, the newest content of it."), state.node,
      panel("Tables", scrollable("Tables, a table", element("table", { class: "dense" }, element("caption", { class: "unseen" }, "Tables and the streams that fill them"), tableHead("Table", "Filled by"), body)))),
    close: asking.stop,
  };
}

function tableRow(table) {
  const streams = table.streams.map((stream) => element("a", { href: `#/streams/${encodeURIComponent(stream)}` }, said(stream)));
  return {
    node: element("tr", {},
      element("th", { scope: "row" }, element("a", { href: `#/tables/${encodeURIComponent(table.name)}` }, said(table.name))),
      element("td", {}, element("span", { class: "links" }, streams))),
  };
}

export function tableView(name) {
  const place = element("div");
  const rows = finder({
    title: "Rows",
    label: "Search the rows",
    address: path("tables", name, "rows"),
    found: "rows",
    noun: "row",
    extent: "In the order of the tokens of their partition keys, which is not that of time; from CSV files the newest. Up to 1,000 are searched.",
    empty: "The table is empty.",
    place,
    show: (answer) => place.replaceChildren(rowsTable(name, answer)),
  });
  return {
    title: name,
    node: element("div", {}, pageHead(said(name), element("a", { href: "#/tables" }, "All tables")), rows.node),
    close: rows.close,
  };
}

function rowsTable(name, { columns, rows }) {
  const heads = columns.map((column) => element("th", { scope: "col", class: isNumber(column.type) ? "number" : null },
    said(column.name), column.key ? element("span", { class: "tag" }, "key") : null, element("span", { class: "column-type" }, said(column.type))));
  const box = scrollable(`Rows of ${name}, a table`,
    element("table", { class: "dense rows" }, element("caption", { class: "unseen" }, `Rows of ${name}`),
      element("thead", {}, element("tr", {}, heads)),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map((value, at) => cell(value, columns[at])))))));
  box.classList.add("tall");
  return box;
}

function cell(value, column) {
  const number = isNumber(column?.type);
  if (value === null) return element("td", { class: number ? "null number" : "null", title: "null" }, UNKNOWN);
  // Numbers come as texts, which keep all their digits; a decimal may have thousands.
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text.length <= CELL) return element("td", { class: number ? "number" : null }, said(text));
  const first = beginning(text, CELL);
  return element("td", { class: number ? "long number" : "long" }, element("details", {},
    element("summary", {}, said(first), "…"), appendVisible(element("bdi"), text.slice(first.length), "\n\t")));
}

function isNumber(type) {
  return ["tinyint", "smallint", "int", "bigint", "varint", "float", "double", "decimal", "counter"].includes(type);
}
