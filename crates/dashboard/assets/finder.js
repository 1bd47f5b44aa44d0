// A question with a text to search for -> a panel of what is found. It is asked at once, for each text, by a button, and after
// an error until there is an answer, or there is no such thing.

import { poll } from "./api.js";
import { element, setText } from "./dom.js";
import { count, plural } from "./format.js";
import { notice, panel, search } from "./panel.js";

const LIMIT = 100;
const AGAIN_AFTER = 5000;

/**
 * { node, close }. The answer of `address` has what is found under the name `found`, each called a `noun`; `show(answer)` puts it
 * into `place`. `extent` says which are shown and searched, `empty` that there is nothing at all.
 */
export function finder({ title, label, address, found, noun, extent, empty, place, show }) {
  const state = notice("Reading.");
  const told = element("p", { class: "quiet small told" });
  let sought = "";
  let asking = null;

  const take = (answer) => {
    const many = answer[found].length;
    const which = sought === "" ? "" : " found";
    const rest = answer.truncated ? ", and no more of them fit here" : "";
    setText(told, `${plural(many, noun)}${which}; ${count(answer.searched)} were looked through${rest}. ${extent}`);
    state[many === 0 ? "say" : "clear"](sought === "" ? empty : "Not found in what was looked through.");
    show(answer);
    asking.stop();
  };
  const fail = (error) => {
    state.fail(error, !error.isUnknown);
    if (error.isUnknown) asking.stop();
  };
  const load = () => {
    // The newest question wins.
    asking?.stop();
    asking = poll(`${address}?search=${encodeURIComponent(sought)}&limit=${LIMIT}`, AGAIN_AFTER, take, fail);
  };
  load();

  const find = search(label, (text) => {
    sought = text;
    load();
  });
  const again = element("button", { type: "button", onclick: load }, "Read again");
  return {
    node: panel(title, element("div", { class: "tools" }, find, again), told, state.node, place),
    close: () => asking.stop(),
  };
}
