// The stream of snapshots -> what the page knows, and since when the dashboard has been silent.

// One snapshot a second: six without one are an outage, also where the connection looks open.
const SILENT_AFTER = 6000;
const RECONNECT_AFTER = 3000;

const listeners = new Set();
let clockAhead = 0;
let heardAt = Date.now();
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
    connect();
    setInterval(() => {
      if (!document.hidden && Date.now() - heardAt > SILENT_AFTER) silent();
    }, 1000);
    // A browser has six connections to a host: pages that nobody sees leave theirs to those that are seen.
    document.addEventListener("visibilitychange", () => {
      events.close();
      heardAt = Date.now();
      if (!document.hidden) connect();
    });
  },
};

function connect() {
  events?.close();
  events = new EventSource("/api/events");
  events.addEventListener("snapshot", (event) => hear(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    silent();
    // A refused connection is not tried again by the browser; a broken one is.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_AFTER);
  });
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
