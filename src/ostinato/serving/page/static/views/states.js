// Long sequences: the tracks of a run, one that is made, and the explorer of one.

import { html, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { link, number, Problem, Tabs, Waiting } from "../parts.js";
import { goesOn, Progress, useJob } from "../jobs.js";
import { Explorer } from "./explorer.js";

const megabytes = (bytes) => `${number(Math.max(1, Math.round(bytes / 1e6)))} MB`;

function Make({ work, isText, first }) {
  const [asked, setAsked] = useState({ source: "validation", given: "", steps: 1000000, gates: true });
  const set = (key, value) => setAsked({ ...asked, [key]: value });
  const begin = (event) => {
    event.preventDefault();
    const numbers = () => asked.given.trim().split(/[\s,;]+/).map(Number);
    const body = { ...asked, given: asked.source === "given" ? (isText ? asked.given : numbers()) : null };
    work.start(body);
  };
  const source = (key, text) => html`<label><input type="radio" name="source" checked=${asked.source === key} onChange=${() => set("source", key)} /> ${text}</label>`;
  return html`<details open=${first}><summary>Follow the network over ${first ? "some data" : "other data"}</summary><form onSubmit=${begin}>
    <fieldset class="row"><legend class="unseen">Which data</legend>${source("validation", "validation data")}${source("training", "training data")}
      ${source("given", isText ? "a text of yours" : "numbers of yours")}</fieldset>
    ${asked.source === "given" && html`<label for="given">${isText ? "The text" : "The numbers, a step each"}</label>
      <textarea id="given" rows="4" required value=${asked.given} onInput=${(event) => set("given", event.target.value)}></textarea>`}
    <div class="row"><label>At most <input type="number" min="40" max="5000000" value=${asked.steps} onInput=${(event) => set("steps", Number(event.target.value))} /> steps</label>
      <label><input type="checkbox" checked=${asked.gates} onChange=${(event) => set("gates", event.target.checked)} /> gates, too</label>
      <button class="primary">Begin</button></div>
    <p class="quiet">States are written to files beside the run, once; a million steps of 256 units take about 730 MB for each part of the state and each gate.</p></form></details>`;
}

export function States({ name, query }) {
  const run = `/v1/runs/${encodeURIComponent(name)}`, base = `${run}/tracks`;
  const { answer: facts } = useAnswer(run), { answer: asked } = useAnswer(`${run}/asked`), work = useJob(base), { again } = work;
  const found = work.tracks && work, error = found ? null : work.error;
  if (error) return html`<h1>States of ${name}</h1><${Problem} error=${error} />`;
  if (!found) return html`<h1>States of ${name}</h1><${Waiting} />`;
  const shown = found.tracks.find((one) => one.key === query.track) ?? found.tracks[0];
  const drop = (key) => call(`${base}/${key}`, { method: "DELETE" }).then(() => { location.hash = link("states", name); again(); }, again);
  const isText = asked?.columns[0].is_text ?? true, busy = goesOn(found.job);
  return html`<div><h1>States of ${name}</h1><${Tabs} name=${name} view="states" run=${facts} />
    ${query.track && shown?.key !== query.track && html`<p class="problem" role="alert">The link names a track that is gone: the weights have changed, or its files were removed.</p>`}
    ${found.tracks.length > 1 && html`<p><label>Sequence <select onChange=${(event) => { location.hash = link("states", name, { track: event.target.value }); }}>
      ${found.tracks.map((one) => html`<option key=${one.key} value=${one.key} selected=${one === shown}>${one.data}, ${number(one.num_steps)} steps, ${one.made.slice(0, 16).replace("T", " ")}</option>`)}</select></label></p>`}
    ${shown && html`<${Explorer} key=${shown.key} name=${name} track=${shown} query=${query} isText=${isText} />
      <p class="quiet">${number(shown.num_steps)} steps of ${shown.num_rows === 1 ? "one row" : `${number(shown.num_rows)} rows`} (${shown.data}), ${megabytes(shown.bytes)}.
        <button type="button" onClick=${() => drop(shown.key)}>Remove its files</button></p>`}
    <${Progress} work=${work} following="Steps of the network" />
    ${!busy && facts?.served !== false && html`<${Make} work=${work} isText=${isText} first=${!shown} />`}</div>`;
}
