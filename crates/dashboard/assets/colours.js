// One colour a stream, the same everywhere, and the theme they depend on.

import { element } from "./dom.js";

const KNOWN = ["weather", "faker", "wikipedia", "companies", "random-user"];
const OTHERS = 3;
const DASHES = [[], [6, 3], [2, 3], [9, 3, 2, 3]];

/** The place of a stream among the colours of app.css: streams of the user's own share the last three. */
export function place(stream) {
  const at = KNOWN.indexOf(stream);
  if (at >= 0) return at;
  let sum = 0;
  for (const letter of stream) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return KNOWN.length + (sum % OTHERS);
}

export function streamColour(stream) {
  return `var(--stream-${place(stream)})`;
}

/** Lines differ by their dashes too, for those who do not tell the colours apart. */
export function streamDash(stream) {
  return DASHES[place(stream) % DASHES.length];
}

const probe = element("span", { hidden: true });

/** What a CSS colour is in the present theme, for a canvas. */
export function resolved(colour) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = colour;
  return getComputedStyle(probe).color;
}

const listeners = new Set();
const system = matchMedia("(prefers-color-scheme: dark)");
system.addEventListener("change", tell);

export function onThemeChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener();
}

const NEXT = { system: "light", light: "dark", dark: "system" };
const WORDS = { system: "auto", light: "light", dark: "dark" };

/** The button that goes through the themes; the choice is remembered where that is allowed. */
export function themeButton(button) {
  const root = document.documentElement;
  const show = () => {
    const theme = root.dataset.theme ?? "system";
    button.lastElementChild.textContent = WORDS[theme];
    button.setAttribute("aria-label", `Theme: ${WORDS[theme]}`);
  };
  button.addEventListener("click", () => {
    const theme = NEXT[root.dataset.theme ?? "system"];
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Storage may be forbidden; the theme then lasts as long as the page.
    }
    show();
    tell();
  });
  show();
}
