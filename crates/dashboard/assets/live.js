// The stream of snapshots -> what the page knows, and since when the dashboard has been silent.

import { ask } from "./api.js";

// One snapshot a second: six without one are an outage, also where the connection looks open.
const SILENT_AFTER = 6000;
// Below the silence, so that a page that is refused the stream lives on single snapshots meanwhile.
const CONNECT_AGAIN_AFTER = 3500;

const listeners = new Set();
let clockAhead = 0;
let heardAt = Date.now();
let triedAt = 0;
let events = null;

export const live = {
  /** The newest snapshot, or null before the first. */
  snapshot: null,
  /** Since when the dashboard does not answer, as a time of this browser, or null. */
  silentSince: null,

  /** The time as the dashboard's clock shows it, by which ages are told. */
  now: () => Date.now() + clockAhead,

  /** Calls `listener` at each snapshot and each change of the connection; returns how to stop. */
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },

  start() {
    setInterval(look, 1000);
    document.addEventListener("visibilitychange", seenOrNot);
    seenOrNot();
  },
};

// A browser has six connections to a host: pages that nobody sees leave theirs to those that are seen.
function seenOrNot() {
  disconnect();
  heardAt = Date.now();
  if (!document.hidden) connect();
}

function look() {
  if (document.hidden) return;
  const now = Date.now();
  if (now - heardAt > SILENT_AFTER) silent();
  // A connection that looks open and says nothing is given up, too.
  const due = events ? Math.max(heardAt, triedAt) + SILENT_AFTER : triedAt + CONNECT_AGAIN_AFTER;
  if (now >= due) connect();
}

function connect() {
  disconnect();
  triedAt = Date.now();
  events = new EventSource("/api/events");
  events.addEventListener("snapshot", (event) => hear(JSON.parse(event.data)));
  events.addEventListener("error", lost);
}

function disconnect() {
  events?.close();
  events = null;
}

/** The stream is refused, as where too many listen, or broken: a single snapshot tells whether the dashboard answers at all. */
async function lost() {
  disconnect();
  const asked = Date.now();
  triedAt = asked;
  const snapshot = await ask("/api/snapshot").catch(() => null);
  // It may have come late: what was heard meanwhile is newer.
  if (heardAt > asked) return;
  if (snapshot) hear(snapshot);
  else if (!document.hidden) silent();
}

function hear(snapshot) {
  heardAt = Date.now();
  clockAhead = Date.parse(snapshot.at) - heardAt;
  live.snapshot = snapshot;
  live.silentSince = null;
  tell();
}

function silent() {
  live.silentSince ??= heardAt;
  tell();
}

function tell() {
  for (const listener of listeners) listener(live);
}
