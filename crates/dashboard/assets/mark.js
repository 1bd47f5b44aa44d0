// The state of something as a mark: a shape, a colour and a word, so that none of them has to be told apart alone.

import { element, setAttribute, setText, shape } from "./dom.js";

const LOOKS = {
  green: { word: "working", body: "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13z", sign: "M5 8.2l2.1 2.1L11.2 6" },
  yellow: { word: "remark", body: "M8 1.2L15.4 14.4H.6z", sign: "M8 6v3.8M8 12v.2" },
  red: { word: "not working", body: "M5 1h6l4 4v6l-4 4H5l-4-4V5z", sign: "M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" },
  unknown: { word: "not known", body: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11z", sign: "" },
};

export function stateWord(state) {
  return (LOOKS[state] ?? LOOKS.unknown).word;
}

/** { node, set(state) }; where the word is not shown it is still there for those who listen. */
export function mark({ word = true } = {}) {
  const body = shape("path", { class: "mark-body" });
  const sign = shape("path", { class: "mark-sign" });
  const label = element("span", { class: word ? "mark-word" : "unseen" });
  const picture = shape("svg", { viewBox: "0 0 16 16", width: "14", height: "14", "aria-hidden": "true" }, body, sign);
  const node = element("span", { class: "mark" }, picture, label);
  const set = (state) => {
    const looks = LOOKS[state] ?? LOOKS.unknown;
    setAttribute(node, "data-state", LOOKS[state] ? state : "unknown");
    setAttribute(body, "d", looks.body);
    setAttribute(sign, "d", looks.sign);
    setText(label, looks.word);
  };
  set(null);
  return { node, set };
}
