// What the pages are made of: panels, notices in words, times, figures, searches.

import { element, setAttribute, setText } from "./dom.js";
import { UNKNOWN, clock, elapsed, utc } from "./format.js";

/** The heading of a page, with a sentence below. */
export function pageHead(title, ...about) {
  return element("header", { class: "page-head" }, element("h1", { tabindex: "-1" }, title), element("p", { class: "quiet" }, ...about));
}

/** A part of a page with a heading of its own. */
export function panel(title, ...children) {
  return element("section", { class: "panel" }, element("h2", {}, title), ...children);
}

/** A line that tells in words why there is nothing to see, or that what is seen is old. */
export function notice(words) {
  const node = element("p", { class: "empty" });
  const show = (text, failed) => {
    node.hidden = text === "";
    setText(node, text);
    setAttribute(node, "data-failed", failed);
  };
  show(words, false);
  return {
    node,
    say: (text) => show(text, false),
    fail: (error, again = true) => show(`Could not be read at ${clock(Date.now())}: ${error.message}.${again ? " It is asked again." : ""}`, true),
    clear: () => show("", false),
  };
}

/** A local time that tells the exact one in its title. */
export function time(at) {
  return setTime(element("time"), at);
}

export function setTime(node, at) {
  if (!at) {
    setText(node, UNKNOWN);
    return node;
  }
  setAttribute(node, "datetime", at);
  setAttribute(node, "title", utc(at));
  setText(node, clock(at));
  return node;
}

/** "since 17:21:04, 12 s ago": { node, set(since, now) }. */
export function sinceWords() {
  const start = element("time");
  const ago = element("span");
  return {
    node: element("span", { class: "quiet" }, "since ", start, ago),
    set(since, now) {
      setTime(start, since);
      setText(ago, since ? `, ${elapsed((now - Date.parse(since)) / 1000)} ago` : "");
    },
  };
}

/** A large number with what it counts: { node, set(value, remark) }. */
export function figure(label) {
  const value = element("dd", { class: "figure-value" }, UNKNOWN);
  const remark = element("dd", { class: "figure-remark" });
  const node = element("div", { class: "figure" }, element("dt", {}, label), value, remark);
  return {
    node,
    set(text, words = "") {
      setText(value, text);
      setText(remark, words);
    },
  };
}

/** A search that asks while one types, but not for each letter. */
export function search(label, onSearch) {
  const input = element("input", { type: "search", placeholder: "any text", autocomplete: "off", spellcheck: "false", "aria-label": label });
  let asked = "";
  let timer = 0;
  const go = () => {
    clearTimeout(timer);
    if (input.value === asked) return;
    asked = input.value;
    onSearch(asked);
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(go, 350);
  });
  const submit = (event) => {
    event.preventDefault();
    go();
  };
  return element("form", { class: "search", role: "search", "aria-label": label, onsubmit: submit }, input, element("button", { type: "submit" }, "Search"));
}

/** A head of a table: its columns, those of numbers aligned to the right. */
export function tableHead(...columns) {
  return element("thead", {}, element("tr", {}, ...columns.map((column) => columnHead(column))));
}

function columnHead(column) {
  const { title, number = false, explained = null } = typeof column === "string" ? { title: column } : column;
  return element("th", { scope: "col", class: number ? "number" : null, title: explained }, title);
}
