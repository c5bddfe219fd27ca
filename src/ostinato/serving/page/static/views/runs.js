// All runs, in a table or as cards; some of them chosen to be compared.

import { html, useState } from "../html.js";
import { useAnswer } from "../api.js";
import { figure, link, number, Problem, Waiting, when } from "../parts.js";
import { Save } from "../saving.js";
import { Drop } from "./drop.js";

const AT_WORK = ["training", "preparing"];
const task = (one) => (one.task ?? "").replaceAll("_", " ");
export const listed = (text) => (text ? text.split(",").map(decodeURIComponent) : []);
export const joined = (names) => names.map(encodeURIComponent).join(",");

// The validation loss, small.
function Spark({ points }) {
  if (!points || points.length < 2) return null;
  const losses = points.map(([, loss]) => loss).filter(Number.isFinite);
  const low = Math.min(...losses), high = Math.max(...losses), last = points.at(-1)[0] || 1;
  const path = points.map(([step, loss], at) => `${at ? "L" : "M"}${(196 * step / last + 2).toFixed(1)} ${(34 - 30 * (loss - low) / (high - low || 1)).toFixed(1)}`).join("");
  return html`<svg class="spark" viewBox="0 0 200 36" preserveAspectRatio="none" role="img" aria-label=${`Validation loss: ${number(losses[0])} to ${number(losses.at(-1))}`}>
    <path class="line line0" vector-effect="non-scaling-stroke" d=${path} /></svg>`;
}

function Table({ shown, chosen, choose }) {
  return html`<div class="wide" tabindex="0" role="region" aria-label="Table of runs"><table class="runs">
    <thead><tr><th scope="col"><span class="unseen">compare</span></th><th scope="col">name</th><th scope="col">task</th><th scope="col">validation</th>
      <th scope="col" class="right">steps</th><th scope="col">finished (UTC)</th><th scope="col">state</th></tr></thead>
    <tbody>${shown.map((one) => html`<tr key=${one.name}><td>${one.task && html`<${Choose} one=${one} chosen=${chosen} choose=${choose} />`}</td>
      <th scope="row"><a href=${link("run", one.name)}>${one.name}</a></th>
      <td>${task(one)} ${one.cell && html`<span class="quiet">${one.cell}</span>`}</td>
      <td>${one.figure && html`${one.figure.name} ${figure(one.figure)}`}</td>
      <td class="right">${one.steps === undefined ? "" : number(one.steps)}</td>
      <td class="nowrap">${when(one.when)}</td>
      <td><span class=${`state ${one.state}`}>${one.state}</span></td></tr>`)}</tbody></table></div>`;
}

const Choose = ({ one, chosen, choose }) => html`<input type="checkbox" aria-label=${`compare ${one.name}`} checked=${chosen.includes(one.name)}
  onChange=${() => choose(one.name)} />`;

const Cards = ({ shown, chosen, choose }) => html`<ul class="cards">${shown.map((one) => html`<li key=${one.name}>
  <p class="row"><a href=${link("run", one.name)}>${one.name}</a> <span class=${`state ${one.state}`}>${one.state}</span>
    ${one.task && html`<${Choose} one=${one} chosen=${chosen} choose=${choose} />`}</p>
  <p class="quiet">${[task(one), one.cell, one.steps !== undefined && `${number(one.steps)} steps`, when(one.when)].filter(Boolean).join(" · ")}</p>
  ${one.figure && html`<p>${one.figure.name} ${figure(one.figure)}</p>`}<${Spark} points=${one.curve} /></li>`)}</ul>`;

export function Runs({ query }) {
  const { answer, error } = useAnswer("/v1/runs", (found) => found.runs.some((one) => AT_WORK.includes(one.state)));
  const [sought, setSought] = useState(query.find ?? "");
  if (error) return html`<h1>Runs</h1><${Problem} error=${error} />`;
  if (!answer) return html`<h1>Runs</h1><${Waiting} />`;
  const words = sought.toLowerCase(), chosen = listed(query.runs).filter((name) => answer.runs.some((one) => one.name === name));
  const shown = answer.runs.filter((one) => `${one.name} ${one.task ?? ""} ${one.cell ?? ""}`.toLowerCase().includes(words))
    .sort((one, other) => AT_WORK.includes(other.state) - AT_WORK.includes(one.state) || (other.when ?? "").localeCompare(one.when ?? ""));
  const drop = answer.trains && html`<${Drop} first=${!answer.runs.length} />`;
  if (!answer.runs.length) return html`<h1>${answer.trains ? "Train your first model" : "Runs"}</h1>${drop || html`<p>There is none.</p>`}`;
  const cards = query.as ? query.as === "cards" : innerWidth < 560;
  const go = (more) => {
    const now = { ...query, find: sought, ...more };
    location.replace(`#/?${new URLSearchParams(Object.fromEntries(Object.entries(now).filter(([, value]) => value)))}`);
  };
  const choose = (name) => go({ runs: joined(chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]) });
  const rows = () => [["name", "task", "cell", "figure", "value", "steps", "finished", "state"], ...shown.map((one) =>
    [one.name, one.task, one.cell, one.figure?.name, one.figure?.value, one.steps, one.when, one.state])];
  const View = cards ? Cards : Table;
  return html`<h1>Runs</h1>${drop}
    <p class="row">${answer.runs.length > 5 && html`<label>Find <input type="search" value=${sought} onInput=${(event) => setSought(event.target.value)} onChange=${() => go({})} /></label>`}
      <button type="button" onClick=${() => go({ as: cards ? "table" : "cards" })}>${cards ? "As a table" : "As cards"}</button>
      ${chosen.length > 1 ? html`<a class="go" href=${`#/compare?${new URLSearchParams({ runs: joined(chosen) })}`}>Compare ${chosen.length} runs</a>`
        : answer.runs.length > 1 && html`<span class="quiet">Tick two runs to compare them.</span>`}</p>
    <${View} shown=${shown} chosen=${chosen} choose=${choose} />
    <div class="row"><p class="quiet" role="status">${shown.length} of ${answer.runs.length} runs</p><${Save} name="runs" rows=${rows} canvas=${null} /></div>`;
}
