// Builders of elements. Every text becomes a text node, so nothing an upstream says is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** element("a", { class: "link", href: "#/" }, "text", child): a null attribute or child is left out. */
export function element(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function shape(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Writes only what has changed: an unchanged text costs no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// What has no glyph, or turns the direction of what follows.
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u00ad\u061c\u115f\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;

/** Appends a text of an upstream, with what cannot be seen in it written as an escape. */
export function appendVisible(node, text, keep = "") {
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (keep.includes(match[0])) continue;
    const code = match[0].codePointAt(0).toString(16).padStart(4, "0");
    node.append(text.slice(from, match.index), element("span", { class: "escape" }, `\\u${code}`));
    from = match.index + match[0].length;
  }
  node.append(text.slice(from));
  return node;
}

const saidLast = new WeakMap();

/** A text of an upstream on one line, whose direction stays its own. */
export function said(text) {
  return setSaid(element("bdi"), text);
}

export function setSaid(node, text) {
  const value = text ?? "";
  if (saidLast.get(node) === value) return node;
  saidLast.set(node, value);
  node.replaceChildren();
  return appendVisible(node, value);
}

const rowsOf = new WeakMap();

/**
 * Makes the children of `parent` follow `items` in place: `create` returns { node, .. } for a new key,
 * `update` is called for each item, and what is not among the items any more is removed.
 */
export function follow(parent, items, keyOf, create, update) {
  const before = rowsOf.get(parent) ?? new Map();
  const wanted = new Map();
  for (const item of items) {
    let key = String(keyOf(item));
    while (wanted.has(key)) key += "'";
    wanted.set(key, item);
  }
  // What is gone goes first: else all that follows it would be moved, and lose the focus.
  for (const [key, row] of before) if (!wanted.has(key)) row.node.remove();
  const after = new Map();
  let place = parent.firstElementChild;
  for (const [key, item] of wanted) {
    const row = before.get(key) ?? create(item);
    after.set(key, row);
    update?.(row, item);
    if (row.node === place) place = place.nextElementSibling;
    else parent.insertBefore(row.node, place);
  }
  rowsOf.set(parent, after);
  return after;
}

/** A box that scrolls by itself, also by keyboard, so that the page never scrolls sideways. */
export function scrollable(label, ...children) {
  return element("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, ...children);
}
