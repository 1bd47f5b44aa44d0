// Values over time -> lines (uPlot draws them), with a legend in words, the values under the pointer and all of them as a table.

import { onThemeChange, resolved } from "./colours.js";
import { element, follow, said, setText } from "./dom.js";
import { RANGES } from "./history.js";
import { clock, hourAndMinute } from "./format.js";
import { panel } from "./panel.js";
import { points, valueAt } from "./points.js";

const HEIGHT = 180;
const SYNC = "time";
// Of a young dashboard little is known: not so little that one minute fills the axis.
const SPAN_MIN_S = 300;
const MINUTES = [1, 2, 3, 5, 10, 15, 30, 60, 120, 180, 240].map((minutes) => minutes * 60);
// Streams differ by a factor of a thousand: on a logarithmic axis all of them can be read. Below this it is linear.
const LINEAR_BELOW = { rate: 0.1, lag: 1, latency: 1 };
const POWERS = [0, 0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
// Messages are counted: an axis of a few of them has no halves.
const WHOLE = POWERS.filter((power) => power >= 1).flatMap((power) => [power, 2 * power, 5 * power]);

/**
 * A chart: { node, show(times, lines), close }. `kind` is a key of LINEAR_BELOW, `format` writes a value.
 * A line is { name, colour, dash, values }.
 */
export function chart({ title, about, kind, format, logarithmic }) {
  const box = element("div", { class: "chart-box", role: "img", "aria-label": title });
  const tip = element("div", { class: "chart-tip", "aria-hidden": "true", hidden: true });
  const legend = element("ul", { class: "legend" });
  const wrap = element("div", { class: "chart-wrap" }, box, tip);
  const past = points(title, format);
  const node = element("figure", { class: "chart" }, element("figcaption", {}, element("h3", {}, title), element("p", { class: "quiet" }, about)), wrap, legend, past.node);
  let plot = null;
  let lines = [];
  let signature = "";

  const options = (width) => ({
    width,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, sync: { key: SYNC, setSeries: false }, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { range: (_, oldest, newest) => [oldest === null ? null : Math.min(oldest, newest - SPAN_MIN_S), newest] },
      y: logarithmic
        ? { distr: 4, asinh: LINEAR_BELOW[kind], range: (_, __, highest) => [0, roomAbove(highest, LINEAR_BELOW[kind])] }
        : { range: (_, __, highest) => [0, Math.max(highest ?? 0, LINEAR_BELOW[kind]) * 1.1] },
    },
    axes: [
      { ...axis(), size: 28, incrs: MINUTES, values: (_, splits) => splits.map((second) => hourAndMinute(second * 1000)) },
      {
        ...axis(),
        size: 62,
        values: (_, splits) => splits.map((value) => (value === null ? "" : tick(value, format))),
        ...(kind === "lag" ? { incrs: WHOLE } : {}),
        ...(logarithmic ? { splits: (_, __, lowest, highest) => POWERS.filter((power) => (power === 0 || power > LINEAR_BELOW[kind]) && power >= lowest && power <= highest), filter: (_, splits) => splits } : {}),
      },
    ],
    series: [{}, ...lines.map((line) => ({ label: line.name, stroke: () => resolved(line.colour), width: 1.75, dash: line.dash, points: { show: false } }))],
    hooks: { setCursor: [showTip] },
  });

  function showTip(chart) {
    const at = chart.cursor.idx;
    // Charts move together, but only the one under the pointer tells its values.
    tip.hidden = at === null || at === undefined || !wrap.matches(":hover");
    if (tip.hidden) return;
    const shown = lines.filter((line) => line.values[at] !== null && line.values[at] !== undefined);
    tip.replaceChildren(
      element("p", { class: "quiet" }, clock(chart.data[0][at] * 1000)),
      shown.length === 0 ? "nothing known" : "",
      ...shown.map((line) => element("p", {}, swatch(line), said(line.name), element("b", {}, format(line.values[at])))),
    );
    const left = chart.bbox.left / devicePixelRatio + chart.cursor.left;
    const beyondMiddle = chart.cursor.left > chart.over.clientWidth / 2;
    tip.style.setProperty("left", `${left}px`);
    tip.classList.toggle("to-the-left", beyondMiddle);
  }

  const make = (data) => {
    plot?.destroy();
    plot = new uPlot(options(Math.max(200, box.clientWidth)), data, box);
  };
  const resize = new ResizeObserver(() => plot?.setSize({ width: Math.max(200, box.clientWidth), height: HEIGHT }));
  resize.observe(box);
  const unsubscribe = onThemeChange(() => plot?.redraw(false, true));

  return {
    node,
    show(times, newLines) {
      lines = newLines;
      const now = JSON.stringify(lines.map((line) => [line.name, line.colour]));
      const data = [times, ...lines.map((line) => line.values)];
      if (!plot || now !== signature) make(data);
      else plot.setData(data);
      signature = now;
      follow(legend, lines, (line) => line.name, legendEntry, (row, line) => setText(row.value, valueAt(line, -1, format)));
      box.setAttribute("aria-label", `${title}. Newest: ${lines.map((line) => `${line.name} ${valueAt(line, -1, format)}`).join(", ")}`);
      past.show(times, lines);
    },
    close() {
      unsubscribe();
      resize.disconnect();
      plot?.destroy();
    },
  };
}

function axis() {
  return {
    stroke: () => resolved("var(--quiet)"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: () => resolved("var(--line)"), width: 1 },
    ticks: { show: false },
    gap: 6,
  };
}

function roomAbove(highest, least) {
  const top = Math.max(highest ?? 0, least);
  return POWERS.find((power) => power >= top * 1.15) ?? top * 10;
}

/** A value on an axis: 10 k/s, not 10.0 k/s. */
function tick(value, format) {
  return format(value).replace(/\.0(?= |\/)/, "");
}

function legendEntry(line) {
  const value = element("b");
  return { node: element("li", {}, swatch(line), said(line.name), " ", value), value };
}

function swatch(line) {
  const node = element("i", { class: "swatch", "aria-hidden": "true", "data-dash": line.dash?.length ? line.dash.join(" ") : null });
  node.style.setProperty("color", line.colour);
  return node;
}

/** The panel of a page's charts, with the switch between the ranges: `onChange` gets the one that is chosen. */
export function historyPanel(onChange, state, charts) {
  const node = panel("History", state.node, element("div", { class: "charts" }, charts.map(({ drawing }) => drawing.node)));
  node.prepend(element("div", { class: "panel-head" }, node.querySelector("h2"), rangeSwitch(onChange)));
  return node;
}

function rangeSwitch(onChange) {
  const buttons = Object.entries(RANGES).map(([range, words]) =>
    element("button", { type: "button", "aria-pressed": String(range === "15m"), onclick: () => choose(range) }, words));
  const choose = (range) => {
    Object.keys(RANGES).forEach((name, at) => buttons[at].setAttribute("aria-pressed", String(name === range)));
    onChange(range);
  };
  return element("div", { class: "switch", role: "group", "aria-label": "Time shown" }, ...buttons);
}
