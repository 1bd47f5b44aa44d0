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
  throw new Error(body?.error ?? `the dashboard answered ${response.status}`);
}

/**
 * Asks now and then again and again, but not while the page is hidden. `take` gets each answer, `fail` each error.
 * Returns { stop, again }.
 */
export function poll(address, milliseconds, take, fail) {
  let round = new AbortController();
  let timer = 0;
  const run = async () => {
    const { signal } = round;
    if (!document.hidden) {
      try {
        const answer = await ask(address, { signal });
        if (!signal.aborted) take(answer);
      } catch (error) {
        if (!signal.aborted) fail(error);
      }
    }
    if (!signal.aborted) timer = setTimeout(run, milliseconds);
  };
  const stop = () => {
    round.abort();
    clearTimeout(timer);
  };
  const again = () => {
    stop();
    round = new AbortController();
    run();
  };
  run();
  return { stop, again };
}
