// Questions to the dashboard's API, answered with JSON or with an error in words.

const ANSWER_WITHIN = 20000;

/** The path of one thing, whose name may hold anything. */
export function path(...parts) {
  return "/api/" + parts.map(encodeURIComponent).join("/");
}

export async function ask(address, { signal, ...options } = {}) {
  const deadline = AbortSignal.timeout(ANSWER_WITHIN);
  let response;
  try {
    response = await fetch(address, { ...options, signal: signal ? AbortSignal.any([signal, deadline]) : deadline });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(deadline.aborted ? "no answer within 20 s" : "the dashboard does not answer");
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const failure = new Error(body?.error ?? `the dashboard answered ${response.status}`);
  failure.isUnknown = response.status === 404;
  throw failure;
}

/**
 * Asks now and then again and again, but not while the page is hidden: then as soon as somebody looks. `take` gets each answer,
 * `fail` each error. Returns { stop }.
 */
export function poll(address, milliseconds, take, fail) {
  const stopped = new AbortController();
  const { signal } = stopped;
  let timer = 0;
  const run = async () => {
    if (document.hidden) return document.addEventListener("visibilitychange", run, { once: true, signal });
    try {
      const answer = await ask(address, { signal });
      if (!signal.aborted) take(answer);
    } catch (error) {
      if (!signal.aborted) fail(error);
    }
    if (!signal.aborted) timer = setTimeout(run, milliseconds);
  };
  run();
  return {
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}
