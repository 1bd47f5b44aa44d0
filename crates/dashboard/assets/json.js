// A JSON text, indented for reading. Scalars keep their very characters: parsing would round large numbers.

import { appendVisible, element } from "./dom.js";

// Deeper than this nothing moves further to the right: 16 kB of brackets would else become more than a hundred million spaces.
const INDENTED_MAX = 20;
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Fills `node` with the text, indented where it is JSON and as it is where it is not. */
export function showJson(node, text) {
  if (!isJson(text)) return appendVisible(node, text, "\n\t");
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  tokens.forEach((token, at) => {
    const next = tokens[at + 1];
    if (token === "{" || token === "[") {
      const empty = next === "}" || next === "]";
      if (!empty) depth += 1;
      node.append(token + (empty ? "" : newLine(depth)));
    } else if (token === "}" || token === "]") {
      const empty = tokens[at - 1] === "{" || tokens[at - 1] === "[";
      if (!empty) depth -= 1;
      node.append((empty ? "" : newLine(depth)) + token);
    } else if (token === ",") {
      node.append("," + newLine(depth));
    } else if (token === ":") {
      node.append(": ");
    } else {
      node.append(appendVisible(element("bdi", { class: kind(token, next) }), token));
    }
  });
  return node;
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function newLine(depth) {
  return "\n" + "  ".repeat(Math.min(depth, INDENTED_MAX));
}

function kind(token, next) {
  if (token[0] !== '"') return "json-scalar";
  return next === ":" ? "json-key" : "json-text";
}
