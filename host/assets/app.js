// Every page works without this script. With it, a page that shows something live is read again when something happened,
// and only what changed is touched, so that focus, selection and what was opened stay where they are.
"use strict";
(() => {
  const root = document.documentElement;
  const main = document.querySelector("main");
  const said = document.getElementById("said");
  const pulse = document.getElementById("pulse");

  // What was said of the last action is shown once, and does not stay in the address.
  const address = new URL(location.href);
  if (address.searchParams.has("did")) {
    address.searchParams.delete("did");
    address.searchParams.delete("of");
    history.replaceState(null, "", address);
  }

  /** Makes `here` equal to `there`, keeping every node that can be kept. Nodes with an id are matched by it. */
  const morph = (here, there) => {
    if (here.isEqualNode(there)) return;
    for (const { name, value } of there.attributes) {
      if (here.getAttribute(name) !== value) here.setAttribute(name, value);
    }
    for (const { name } of [...here.attributes]) {
      // What a reader opened stays open.
      if (!there.hasAttribute(name) && !(name === "open" && here.localName === "details")) here.removeAttribute(name);
    }
    if (here.hasAttribute("data-keep")) return;
    const known = new Map();
    for (const child of here.children) if (child.id) known.set(child.id, child);
    let next = here.firstChild;
    for (const wanted of [...there.childNodes]) {
      let found = null;
      if (wanted.id) found = known.get(wanted.id) ?? null;
      else if (next && !next.id && next.nodeType === wanted.nodeType && next.nodeName === wanted.nodeName) found = next;
      if (!found) {
        here.insertBefore(document.importNode(wanted, true), next);
        continue;
      }
      if (found === next) next = next.nextSibling;
      else here.insertBefore(found, next);
      if (found.nodeType === Node.ELEMENT_NODE) morph(found, wanted);
      else if (found.nodeValue !== wanted.nodeValue) found.nodeValue = wanted.nodeValue;
    }
    while (next) {
      const last = next;
      next = next.nextSibling;
      last.remove();
    }
  };

  const parse = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

  // Reading again: one request at a time, at most one a second, none while nobody looks.
  const GAP = 1000;
  let timer = 0, last = 0, busy = false, again = false;
  const show = (state, text) => {
    if (!pulse) return;
    pulse.hidden = false;
    if (pulse.dataset.state !== state) {
      pulse.dataset.state = state;
      pulse.firstElementChild.textContent = text;
    }
  };
  const read = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(15000) });
      const page = await parse(answer);
      const fresh = page.querySelector("main");
      if (answer.redirected) location.reload();
      else if (answer.ok && fresh) {
        morph(main, fresh);
        document.title = page.title;
      }
    } catch { /* The host is away; the event source tells when it is back. */ }
    busy = false;
    last = Date.now();
    if (again) { again = false; soon(); }
  };
  const soon = () => {
    if (timer || document.hidden) return;
    timer = setTimeout(() => { timer = 0; read(); }, Math.max(0, last + GAP - Date.now()));
  };

  if (main && main.hasAttribute("data-live")) {
    const only = main.dataset.run;
    let events = null;
    const heard = (message) => {
      if (only) {
        const run = JSON.parse(message.data).run;
        if (run !== undefined && String(run) !== only) return;
      }
      soon();
    };
    // A hidden tab holds no connection: browsers allow six to one host over all tabs.
    const follow = () => {
      if (document.hidden) {
        if (events) events.close();
        events = null;
        return;
      }
      if (events) return;
      events = new EventSource("/api/v1/events");
      events.onopen = () => { show("live", "live"); soon(); };
      events.onerror = () => show("away", "away");
      events.onmessage = heard;
      events.addEventListener("missed", soon);
    };
    document.addEventListener("visibilitychange", follow);
    // Ages grow although nothing happens.
    setInterval(soon, 30000);
    follow();
  }

  const say = (text, well) => {
    const line = document.createElement("p");
    if (!well) line.className = "bad";
    line.textContent = text;
    said.replaceChildren(line);
  };

  // Buttons act without leaving the page.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-quiet")) return;
    event.preventDefault();
    const button = event.submitter;
    if (button) button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (answer.headers.get("content-type")?.includes("json")) {
        const problem = await answer.json();
        say(`${problem.detail}. ${problem.cure}.`, false);
        return;
      }
      const page = await parse(answer);
      const words = page.querySelectorAll(answer.ok ? "#said > p" : "[data-words]");
      if (words.length) say([...words].map((line) => line.textContent).join(" "), answer.ok);
      await read();
    } catch {
      say("The host does not answer, so nothing was done.", false);
    } finally {
      if (button) button.disabled = false;
    }
  });

  // The theme: what the system says, or what was chosen, in a cookie that the host reads.
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[data-theme-next]") : null;
    if (!button) return;
    event.preventDefault();
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const theme = dark ? "light" : "dark";
    root.dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=strict`;
  });
})();
