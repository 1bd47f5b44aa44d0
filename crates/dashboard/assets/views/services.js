// The services: how each is, why, since when; and, where that is allowed, a producer's pause.

import { ask, path } from "../api.js";
import { element, follow, said, setAttribute, setSaid, setText } from "../dom.js";
import { plural } from "../format.js";
import { live } from "../live.js";
import { mark } from "../mark.js";
import { pageHead, sinceWords } from "../panel.js";

// In memory only, and only once it has worked: it is asked for once a page.
let token = null;
// A header holds no other characters. A quote that a text processor made round, or a space of no width, is refused here: else
// the browser would refuse to ask at all.
const SENDABLE = /^[\x20-\x7e]*$/;
// The same status refuses what was asked from another site, where no token helps.
const WRONG_TOKEN = "this is not the token";

export function servicesView() {
  const empty = element("p", { class: "empty" }, "Waiting for the first service to answer.");
  const list = element("ul", { class: "panel services" });
  const control = element("span");
  const asker = tokenDialog();
  return {
    title: "Services",
    node: element("div", {}, pageHead("Services", "In the order in which data flows. ", control), empty, list, asker.node),
    update(snapshot) {
      empty.hidden = snapshot.services.length > 0;
      list.hidden = !empty.hidden;
      setText(control, snapshot.control ? "Producers can be paused here, with the token from the dashboard's settings." : "Pausing from here is switched off in the dashboard's settings.");
      follow(list, snapshot.services, (service) => service.name, (service) => serviceCard(service, asker), (card, service) => card.update(service, snapshot.control));
    },
  };
}

function serviceCard(service, asker) {
  const state = mark();
  const instances = element("span");
  const reason = element("bdi", { class: "reason" });
  const since = sinceWords();
  const parts = element("ul", { class: "parts" });
  const button = element("button", { type: "button", hidden: true });
  const failed = element("p", { class: "failed", hidden: true });
  const node = element("li", { class: "service" },
    element("div", { class: "service-name" }, element("h2", {}, said(service.name)), element("p", { class: "quiet" }, said(service.role), ", ", instances)),
    element("div", { class: "service-state" }, state.node, reason, since.node),
    parts, element("div", { class: "service-control" }, button, failed));

  let paused = false;
  button.addEventListener("click", async () => {
    const wanted = paused ? "resume" : "pause";
    button.disabled = true;
    failed.hidden = true;
    try {
      await asker.withToken((bearer) => ask(path("services", service.name, wanted), { method: "POST", headers: { Authorization: `Bearer ${bearer}` } }));
    } catch (error) {
      failed.hidden = false;
      setText(failed, `Not done: ${error.message}.`);
    }
    button.disabled = false;
  });

  return {
    node,
    update(service, control) {
      state.set(service.state);
      setAttribute(node, "data-state", service.state);
      setText(instances, service.instances === 0 ? "none answers" : plural(service.instances, "instance"));
      setSaid(reason, service.reason);
      since.set(service.since, live.now());
      follow(parts, service.parts, (part) => part.name, partRow, (row, part) => row.update(part));
      paused = service.paused;
      button.hidden = !(control && service.can_pause);
      setText(button, paused ? "Resume" : "Pause");
      setAttribute(button, "aria-label", `${paused ? "Resume" : "Pause"} ${service.name}`);
    },
  };
}

function partRow(part) {
  const state = mark();
  const reason = element("bdi", { class: "reason" });
  const since = sinceWords();
  return {
    node: element("li", {}, element("span", { class: "part-name" }, said(part.name)), state.node, since.node, reason),
    update(part) {
      state.set(part.state);
      setSaid(reason, part.reason);
      since.set(part.since, live.now());
    },
  };
}

/** Asks for the token once, and again when it is the wrong one: { node, withToken(act) }. */
function tokenDialog() {
  const input = element("input", { type: "password", id: "token", autocomplete: "off", required: true });
  const refused = element("p", { class: "failed", role: "alert" });
  const cancel = element("button", { type: "button" }, "Cancel");
  const form = element("form", { method: "dialog" },
    element("h2", { id: "token-title" }, "Token"),
    element("p", { class: "quiet" }, "It is kept in the memory of this page only."),
    refused, element("label", { for: "token" }, "Token from the dashboard's settings"), input,
    element("p", { class: "tools" }, element("button", { type: "submit" }, "Go on"), cancel));
  const node = element("dialog", { "aria-labelledby": "token-title" }, form);

  const enter = (words) => new Promise((resolve, reject) => {
    const settle = new AbortController();
    const { signal } = settle;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const entered = input.value.trim();
      if (!SENDABLE.test(entered)) {
        setText(refused, "Not sent: it has characters that no token has, such as a round quote or one that cannot be seen. Type it, or copy it anew.");
        return;
      }
      settle.abort();
      node.close();
      resolve(entered);
    }, { signal });
    cancel.addEventListener("click", () => node.close(), { signal });
    node.addEventListener("close", () => {
      // The event may come late, when the dialog has been opened again for another token.
      if (node.open) return;
      settle.abort();
      reject(new Error("no token was entered"));
    }, { signal });
    input.value = "";
    setText(refused, words);
    node.showModal();
  });

  const withToken = async (act) => {
    let words = "";
    for (;;) {
      const given = token ?? (await enter(words));
      try {
        const answer = await act(given);
        token = given;
        return answer;
      } catch (error) {
        if (error.message !== WRONG_TOKEN) throw error;
        token = null;
        words = `Refused: ${error.message}.`;
      }
    }
  };
  return { node, withToken };
}
