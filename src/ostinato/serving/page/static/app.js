// The frame, and which view an address names: #/, #/run/NAME, #/try/NAME, #/inside/NAME?question=…, #/new/FILE

import { html, render, useEffect, useRef, useState } from "./html.js";
import { Runs } from "./views/runs.js";
import { Run } from "./views/run.js";
import { Try } from "./views/try.js";
import { Inside } from "./views/inside.js";
import { States } from "./views/states.js";
import { Intervene } from "./views/intervene.js";
import { Memory } from "./views/memory.js";
import { New } from "./views/new.js";
import { Compare } from "./views/compare.js";
import { OneFile } from "./onefile.js";
import { takeToken } from "./api.js";

const VIEWS = { run: Run, try: Try, inside: Inside, states: States, intervene: Intervene, memory: Memory, new: New, compare: Compare };
const SAID = { run: "", try: "Try ", inside: "Inside ", states: "States of ", intervene: "Intervene in ", memory: "Memory of ", new: "Train on " };

function place() {
  takeToken();
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, name] = path.split("/");
  return { view, name: name ? decodeURIComponent(name) : "", query: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

function App() {
  const [at, setAt] = useState(place);
  const main = useRef(null);
  useEffect(() => {
    const moved = () => setAt((before) => {
      const now = place();
      if (now.view !== before.view || now.name !== before.name) { main.current?.focus(); scrollTo(0, 0); }
      return now;
    });
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const View = VIEWS[at.view] ?? Runs;
  const title = at.view === "compare" ? "Compare runs" : at.name ? `${SAID[at.view] ?? ""}${at.name}` : "Runs";
  useEffect(() => { document.title = `${title} · Ostinato`; }, [title]);
  const skip = (event) => { event.preventDefault(); main.current.focus(); };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header><a class="home" href="#/"><img src="/page/icon.svg" alt="" width="24" height="24" />Ostinato</a>
      ${at.name && html`<span class="quiet">/ ${at.name}</span>`}</header>
    <main id="main" tabindex="-1" ref=${main}><${View} key=${`${at.view}/${at.name}`} name=${at.name} query=${at.query} /></main>
    <footer class="quiet">Served by this machine; nothing on this page comes from anywhere else. <a href="/openapi.json">API</a> · <${OneFile} /></footer>`;
}

render(html`<${App} />`, document.body);
