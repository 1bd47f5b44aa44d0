// The last minutes or hours of every stream: fetched seldom, and carried on from snapshots in between.

import { poll } from "./api.js";
import { live } from "./live.js";

const REFETCH_AFTER = 30000;

export const RANGES = { "15m": "15 minutes", "12h": "12 hours" };
const FIELDS = ["published_per_s", "stored_per_s", "lag_written", "latency_p50_ms", "latency_p99_ms"];

/**
 * Calls `take({ times, streams })` at each change, times in seconds and one array a field; returns { use(range), stop }.
 * The arrays keep their length: for each new point the oldest goes.
 */
export function watchHistory(take, fail) {
  let step = 0;
  let times = [];
  let streams = {};
  let asking = null;

  const fetched = (answer) => {
    const points = Math.max(0, ...Object.values(answer.streams).map((fields) => fields.published_per_s.length));
    const end = Date.parse(answer.end) / 1000;
    step = answer.step_s;
    times = Array.from({ length: points }, (_, at) => end - (points - 1 - at) * step);
    streams = answer.streams;
    take({ times, streams });
  };

  const carryOn = () => {
    const newest = times.at(-1);
    if (!live.snapshot || newest === undefined || live.silentSince !== null) return;
    const now = Date.parse(live.snapshot.at) / 1000;
    // After a long silence the points between are missing: the next answer brings them.
    if (now < newest + step || now > newest + 3 * step) return;
    times = [...times.slice(1), newest + step];
    for (const stream of live.snapshot.streams) {
      const fields = streams[stream.name];
      if (!fields) continue;
      for (const field of FIELDS) fields[field] = [...fields[field].slice(1), stream[field] ?? null];
    }
    take({ times, streams });
  };

  const unsubscribe = live.subscribe(carryOn);
  return {
    use(range) {
      asking?.stop();
      times = [];
      asking = poll(`/api/history?range=${range}`, REFETCH_AFTER, fetched, fail);
    },
    stop() {
      unsubscribe();
      asking?.stop();
    },
  };
}

/** The values of one field, for a stream that may be younger than the history. */
export function values(history, stream, field) {
  return history.streams[stream]?.[field] ?? history.times.map(() => null);
}
