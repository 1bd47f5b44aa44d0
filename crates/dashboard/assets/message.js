// One message -> a line that opens to all of it: headers, key and value, as they were received.

import { appendVisible, element, said, scrollable } from "./dom.js";
import { beginning, bytes } from "./format.js";
import { showJson } from "./json.js";
import { tableHead, time } from "./panel.js";

const PREVIEW = 160;

/**
 * A <details> for { place, at, key, value, headers, bytes, cut, hex }: `place` tells where it is. What is inside is built
 * when it is opened first.
 */
export function message({ place, at, key, value, headers, bytes: size = null, cut = false, hex = false }) {
  const summary = element("summary", {},
    time(at), element("span", { class: "message-place" }, said(place)),
    element("span", { class: "message-key" }, key === null ? element("i", {}, "no key") : said(start(key))),
    element("span", { class: "message-value" }, value === null ? element("i", {}, "no value: it deletes its row") : said(start(value))),
    element("span", { class: "message-size" }, size === null ? "" : bytes(size)));
  const node = element("details", { class: "message" }, summary);
  const open = () => {
    node.append(whole({ place, key, value, headers, cut, hex }));
    node.removeEventListener("toggle", open);
  };
  node.addEventListener("toggle", open);
  return { node };
}

function start(text) {
  return text.length > PREVIEW ? `${beginning(text, PREVIEW)}…` : text;
}

function whole({ place, key, value, headers, cut, hex }) {
  const parts = [];
  if (key !== null && key.length > PREVIEW) parts.push(element("p", { class: "part-title" }, "Key"), raw(`Key of ${place}`, key));
  if (value !== null) {
    parts.push(element("p", { class: "part-title" }, "Value", remark(cut, hex)), raw(`Value of ${place}`, value));
  }
  parts.push(element("p", { class: "part-title" }, "Headers"), headers.length === 0 ? element("p", { class: "quiet" }, "None.") : headerTable(place, headers));
  return element("div", { class: "message-whole" }, parts);
}

function remark(cut, hex) {
  const words = [hex ? "no text, so in hexadecimal" : null, cut ? "only its beginning" : null].filter(Boolean);
  return words.length === 0 ? null : element("span", { class: "quiet" }, ` (${words.join("; ")})`);
}

function raw(label, text) {
  return element("pre", { role: "region", "aria-label": label, tabindex: "0" }, showJson(element("code"), text));
}

function headerTable(place, headers) {
  return scrollable(`Headers of ${place}, a table`,
    element("table", { class: "dense headers" }, element("caption", { class: "unseen" }, `Headers of ${place}`), tableHead("Header", "Value"),
      element("tbody", {}, headers.map(([name, text]) => element("tr", {},
        element("th", { scope: "row" }, said(name)), element("td", {}, text === null ? element("i", {}, "null") : appendVisible(element("bdi"), text)))))));
}
