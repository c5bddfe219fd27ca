// All runs in a table.

import { html, useState } from "../html.js";
import { useAnswer } from "../api.js";
import { figure, link, number, Problem, Waiting, when } from "../parts.js";
import { Drop } from "./drop.js";

const AT_WORK = ["training", "preparing"];

export function Runs() {
  const { answer, error } = useAnswer("/v1/runs", (found) => found.runs.some((one) => AT_WORK.includes(one.state)));
  const [sought, setSought] = useState("");
  if (error) return html`<h1>Runs</h1><${Problem} error=${error} />`;
  if (!answer) return html`<h1>Runs</h1><${Waiting} />`;
  const words = sought.toLowerCase();
  const shown = answer.runs.filter((one) => `${one.name} ${one.task ?? ""} ${one.cell ?? ""}`.toLowerCase().includes(words))
    .sort((one, other) => AT_WORK.includes(other.state) - AT_WORK.includes(one.state) || (other.when ?? "").localeCompare(one.when ?? ""));
  const drop = answer.trains && html`<${Drop} first=${!answer.runs.length} />`;
  if (!answer.runs.length) return html`<h1>Train your first model</h1>${drop}`;
  return html`<h1>Runs</h1>${drop}
    ${answer.runs.length > 5 && html`<p><label>Find <input type="search" value=${sought} onInput=${(event) => setSought(event.target.value)} /></label></p>`}
    <div class="wide" tabindex="0" role="region" aria-label="Table of runs"><table class="runs">
    <thead><tr><th scope="col">name</th><th scope="col">task</th><th scope="col">validation</th>
      <th scope="col" class="right">steps</th><th scope="col">finished (UTC)</th><th scope="col">state</th></tr></thead>
    <tbody>${shown.map((one) => html`<tr key=${one.name}>
      <th scope="row"><a href=${link("run", one.name)}>${one.name}</a></th>
      <td>${(one.task ?? "").replaceAll("_", " ")} ${one.cell && html`<span class="quiet">${one.cell}</span>`}</td>
      <td>${one.figure && html`${one.figure.name} ${figure(one.figure)}`}</td>
      <td class="right">${one.steps === undefined ? "" : number(one.steps)}</td>
      <td class="nowrap">${when(one.when)}</td>
      <td><span class=${`state ${one.state}`}>${one.state}</span></td></tr>`)}</tbody></table></div>
    <p class="quiet" role="status">${shown.length} of ${answer.runs.length} runs</p>`;
}
