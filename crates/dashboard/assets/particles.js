// Rates -> dots that run along the pipes. Each dot is a message up to a few a second; above that dots grow denser and
// faster, not one for one, so that the work stays small.

const DOTS_MAX = 200;
const ONE_FOR_ONE = 4;
const SPACING = 4;

/** How many dots a second stand for a rate. */
function dotsPerSecond(rate) {
  if (!(rate > 0)) return 0;
  return rate <= ONE_FOR_ONE ? rate : ONE_FOR_ONE + 4 * Math.log10(rate / ONE_FOR_ONE);
}

/** How wide a pipe is for a rate, in pixels. */
export function pipeWidth(rate) {
  return 2 + 2.2 * Math.log10(1 + (rate > 0 ? rate : 0));
}

function pixelsPerSecond(rate) {
  return 80 + 45 * Math.log10(1 + rate);
}

/** The points of an SVG path at even distances, for a fast look-up at each frame. */
function pointsAlong(path) {
  const length = path.getTotalLength();
  const points = new Float32Array(2 * (Math.floor(length / SPACING) + 2));
  for (let at = 0; at < points.length / 2; at++) {
    const { x, y } = path.getPointAtLength(Math.min(length, at * SPACING));
    points[2 * at] = x;
    points[2 * at + 1] = y;
  }
  return { length, points };
}

/**
 * Moves dots on the canvas: { setPaths(flows), setRates(map of rates by key), hold(whether), close }. A flow is { key, path, colour }.
 * Nothing moves while the page or the canvas is out of sight, or where the system asks for less motion.
 */
export function particles(canvas) {
  const context = canvas.getContext("2d");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let flows = new Map();
  let rates = new Map();
  let dots = 0;
  let inSight = true;
  let held = false;
  let frame = 0;
  let last = 0;

  const draw = () => {
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const flow of flows.values()) {
      context.fillStyle = flow.colour;
      context.beginPath();
      for (const dot of flow.dots) {
        const at = 2 * Math.floor(dot.at / SPACING);
        const y = flow.points[at + 1] + dot.aside * (pipeWidth(rates.get(flow.key)) / 2);
        context.moveTo(flow.points[at] + 2.2, y);
        context.arc(flow.points[at], y, 2.2, 0, 7);
      }
      context.fill();
    }
  };

  const step = (now) => {
    // After a pause the dots go on from where they were.
    const seconds = Math.min(0.1, (now - last) / 1000);
    last = now;
    for (const flow of flows.values()) {
      const rate = rates.get(flow.key) ?? 0;
      const speed = pixelsPerSecond(rate);
      const before = flow.dots.length;
      for (const dot of flow.dots) dot.at += speed * seconds;
      flow.dots = flow.dots.filter((dot) => dot.at < flow.length);
      dots -= before - flow.dots.length;
      flow.due += dotsPerSecond(rate) * seconds;
      for (; flow.due >= 1; flow.due--) {
        if (dots >= DOTS_MAX) continue;
        flow.dots.push({ at: Math.random() * speed * seconds, aside: Math.random() * 2 - 1 });
        dots++;
      }
    }
    draw();
    frame = requestAnimationFrame(step);
  };

  /** The dots of a flow that has been running for long, at even distances. */
  const spread = (flow) => {
    const rate = rates.get(flow.key) ?? 0;
    const many = Math.min(DOTS_MAX / flows.size, (dotsPerSecond(rate) * flow.length) / pixelsPerSecond(rate));
    return Array.from({ length: Math.floor(many) }, (_, at) => ({ at: ((at + 0.5) * flow.length) / many, aside: Math.random() * 2 - 1 }));
  };

  const stillLife = () => {
    for (const flow of flows.values()) flow.dots = spread(flow);
    draw();
  };

  const goOrStop = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (still.matches) return stillLife();
    if (document.hidden || !inSight || held) return;
    last = performance.now();
    frame = requestAnimationFrame(step);
  };

  const sight = new IntersectionObserver(([entry]) => {
    inSight = entry.isIntersecting;
    goOrStop();
  });
  sight.observe(canvas);
  document.addEventListener("visibilitychange", goOrStop);
  still.addEventListener("change", goOrStop);

  return {
    setPaths(wanted) {
      const scale = Math.min(2, devicePixelRatio);
      canvas.width = canvas.clientWidth * scale;
      canvas.height = canvas.clientHeight * scale;
      context.scale(scale, scale);
      const before = flows;
      flows = new Map();
      dots = 0;
      for (const { key, path, colour } of wanted) {
        const { length, points } = pointsAlong(path);
        const old = before.get(key);
        flows.set(key, { key, colour, length, points, dots: old?.dots.filter((dot) => dot.at < length) ?? null, due: old?.due ?? 0 });
      }
      for (const flow of flows.values()) {
        flow.dots ??= spread(flow);
        dots += flow.dots.length;
      }
      goOrStop();
    },
    setRates(wanted) {
      rates = wanted;
      if (still.matches) stillLife();
    },
    /** What is not known any more does not move. */
    hold(whether) {
      if (whether === held) return;
      held = whether;
      goOrStop();
    },
    close() {
      cancelAnimationFrame(frame);
      sight.disconnect();
      document.removeEventListener("visibilitychange", goOrStop);
      still.removeEventListener("change", goOrStop);
    },
  };
}
