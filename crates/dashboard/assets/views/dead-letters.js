// Messages that can never become rows, grouped by cause, down to their bytes.

import { poll } from "../api.js";
import { element, follow, said, setText } from "../dom.js";
import { count, plural } from "../format.js";
import { message } from "../message.js";
import { notice, pageHead, setTime } from "../panel.js";

const ASK_EVERY = 10000;

export function deadLettersView() {
  const state = notice("Reading the dead letters.");
  const told = element("p", { class: "quiet small told" });
  const list = element("div", { class: "causes" });
  const asking = poll("/api/dead-letters", ASK_EVERY, (answer) => {
    state[answer.causes.length === 0 ? "say" : "clear"](answer.truncated
      ? "There is none among the newest; older ones were not read." : "There is none: none came, or all were replayed or purged.");
    told.hidden = answer.causes.length === 0;
    setText(told, `${plural(answer.letters, "dead letter")}, ${plural(answer.causes.length, "cause")}${answer.truncated ? "; older ones were not read" : ""}.`);
    follow(list, answer.causes, (cause) => cause.id, causePanel, (row, cause) => row.update(cause));
  }, (error) => state.fail(error));
  return {
    title: "Dead letters",
    node: element("div", {},
      pageHead("Dead letters", "Messages that can never become a row, kept with their bytes and the reason. Once the cause is mended, ", element("code", {}, "tributary dead-letters replay"), " sends them again. Here are those that stand; the number in the menu counts those that came since the consumer started."),
      state.node, told, list),
    close: asking.stop,
  };
}

function causePanel(cause) {
  const many = element("span", { class: "cause-count" });
  const [oldest, newest] = [element("time"), element("time")];
  const examples = element("div", { class: "messages" });
  const node = element("section", { class: "panel cause" },
    element("header", { class: "cause-head" },
      many,
      element("div", {},
        element("h2", {}, said(cause.reason)),
        element("p", { class: "quiet" }, element("span", { class: "tag" }, said(cause.class)), " ",
          element("a", { href: `#/topics/${encodeURIComponent(cause.topic)}` }, said(cause.topic)), " → ",
          element("a", { href: `#/tables/${encodeURIComponent(cause.table)}` }, said(cause.table)),
          element("span", { class: "cause-times" }, "from ", oldest, " to ", newest)))),
    element("h3", {}, "Examples"), examples);
  return {
    node,
    update(cause) {
      setText(many, count(cause.count));
      setTime(oldest, cause.oldest);
      setTime(newest, cause.newest);
      follow(examples, cause.examples, (example) => `${example.origin} ${example.at}`, (example) => message({ ...example, place: example.origin }));
    },
  };
}
