// Where the nodes of the pipeline stand, and the rates -> the pipes between them, as wide as they flow, with dots that run along.

import { onThemeChange, resolved } from "./colours.js";
import { element, setAttribute, shape } from "./dom.js";
import { live } from "./live.js";
import { particles, pipeWidth } from "./particles.js";

export const STAGES = ["upstream", "producer", "topic", "port", "table"];
// A consumer that is one box for all: this far apart the lines enter it.
const APART_MAX = 20;

/**
 * { nodes, draw(lines), setRates(rates), close }: `nodes` fill the place that they are put into. A line is { name, colour, first,
 * anchor(stage) }, from its first stage on; `shared` is the consumer's box where it is shown. Rates are by "NAME/in" and "NAME/out".
 */
export function pipes(shared) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const picture = shape("svg", { class: "pipes", "aria-hidden": "true" });
  const motion = particles(canvas);
  let drawn = [];
  let rates = new Map();
  let flows = [];

  const draw = () => {
    const origin = picture.getBoundingClientRect();
    const consumer = shared.getBoundingClientRect();
    const place = (line, stage, at) => {
      const box = stage === "port" && consumer.width > 0 ? consumer : line.anchor(stage).getBoundingClientRect();
      const middle = box.top + box.height / 2 - origin.top;
      // They enter it close together, like the arms of a river.
      const y = box === consumer ? middle + (at - (drawn.length - 1) / 2) * Math.min(APART_MAX, (consumer.height - 24) / drawn.length) : middle;
      return { left: box.left - origin.left, right: box.right - origin.left, y };
    };
    flows = drawn.flatMap((line, at) => {
      const from = STAGES.slice(STAGES.indexOf(line.first));
      const places = from.map((stage) => place(line, stage, at));
      const split = from.indexOf("topic");
      return [["in", places.slice(0, split + 1)], ["out", places.slice(split)]].map(([part, along]) => {
        const path = shape("path", { d: curve(along), class: "pipe" });
        path.style.setProperty("stroke", line.colour);
        return { key: `${line.name}/${part}`, path, colour: resolved(line.colour) };
      });
    });
    picture.replaceChildren(...flows.map((flow) => flow.path));
    motion.setPaths(flows);
    widen();
  };

  const widen = () => {
    for (const { key, path } of flows) {
      const rate = rates.get(key);
      setAttribute(path, "stroke-width", pipeWidth(rate).toFixed(1));
      setAttribute(path, "data-flow", rate > 0 ? "flows" : "dry");
    }
  };

  const resize = new ResizeObserver(draw);
  resize.observe(picture);
  const unsubscribe = [onThemeChange(draw), live.subscribe(() => motion.hold(live.silentSince !== null))];

  return {
    nodes: [picture, canvas],
    draw(lines) {
      drawn = lines;
      draw();
    },
    setRates(newRates) {
      rates = newRates;
      motion.setRates(rates);
      widen();
    },
    close() {
      motion.close();
      resize.disconnect();
      for (const stop of unsubscribe) stop();
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
