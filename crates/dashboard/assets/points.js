// Values over time -> all of them as a table that opens below the chart, for those who have no pointer.

import { element, follow, said, scrollable, setText } from "./dom.js";
import { UNKNOWN, clock } from "./format.js";
import { tableHead } from "./panel.js";

/** What a line of a chart has at one of the times, in words. */
export function valueAt(line, at, format) {
  const value = line.values.at(at);
  return value === null || value === undefined ? UNKNOWN : format(value);
}

/** { node, show(times, lines) }: the newest first, lines as a chart has them. Nothing is built before it is opened. */
export function points(title, format) {
  const head = element("thead");
  const body = element("tbody");
  const table = element("table", { class: "dense" }, element("caption", { class: "unseen" }, `${title}, point by point`), head, body);
  const box = scrollable(`${title}, point by point, a table`, table);
  box.classList.add("tall");
  const node = element("details", { class: "points" }, element("summary", {}, "All values", element("span", { class: "unseen" }, ` of ${title}`)), box);
  let [times, lines, names] = [[], [], null];

  const draw = () => {
    if (!node.open) return;
    const now = JSON.stringify(lines.map((line) => line.name));
    if (now !== names) head.replaceChildren(...tableHead("Time", ...lines.map((line) => ({ title: said(line.name), number: true }))).children);
    names = now;
    const known = times.map((_, at) => at).filter((at) => lines.some((line) => valueAt(line, at, format) !== UNKNOWN));
    // Other lines are other rows: a row keeps its cells.
    follow(body, known.reverse(), (at) => `${times[at]} ${names}`, (at) => row(times[at], lines.length), ({ cells }, at) =>
      cells.forEach((cell, line) => setText(cell, valueAt(lines[line], at, format))));
  };
  node.addEventListener("toggle", draw);
  return {
    node,
    show(newTimes, newLines) {
      [times, lines] = [newTimes, newLines];
      draw();
    },
  };
}

function row(time, columns) {
  const cells = Array.from({ length: columns }, () => element("td", { class: "number" }));
  return { node: element("tr", {}, element("th", { scope: "row" }, clock(time * 1000)), cells), cells };
}
