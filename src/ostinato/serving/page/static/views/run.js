// One run: its figures, curves and findings.

import { html } from "../html.js";
import { useAnswer } from "../api.js";
import { number, Problem, Tabs, Waiting } from "../parts.js";
import { Plot } from "../plot.js";
import { Save } from "../saving.js";
import { Training } from "./training.js";

const seconds = (value) => (value < 120 ? `${number(value)} s` : `${number(value / 60)} min`);

function Facts({ run }) {
  const rows = [["task", (run.task ?? "").replaceAll("_", " ")], ["cell", run.cell], ["data", run.data], ["state", run.state],
    ...run.facts.map(([name, value]) => (name === "seconds" ? ["training time", seconds(value)] : [name, number(value)])),
    ["ended because", run.ended]].filter(([, value]) => value);
  return html`<dl>${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export function Run({ name }) {
  const { answer: run, error, reload } = useAnswer(`/v1/runs/${encodeURIComponent(name)}`,
    (found) => found.state === "training" || found.job?.alive, 1500);
  if (error) return html`<h1>${name}</h1><${Problem} error=${error} />`;
  if (!run) return html`<h1>${name}</h1><${Waiting} />`;
  const training = html`<${Training} run=${run} reload=${reload} />`;
  if (!run.figures) return html`<h1>${name}</h1>${run.reason && html`<p>${run.reason}</p>`}${training}`;
  return html`<h1>${name}</h1><${Tabs} name=${name} view="run" run=${run} />${training}
    ${run.conclusion && html`<p class="conclusion">${run.conclusion}</p>`}
    <div class="columns">${run.figures.length > 0 && html`<section aria-label="Figures"><h2>Validation</h2><table><thead><tr><th scope="col">figure</th>
      <th scope="col" class="right">value</th><th scope="col">95 % interval</th></tr></thead>
      <tbody>${run.figures.map((one) => html`<tr key=${one.key} class=${one.key === run.figure?.key ? "main" : ""}>
        <th scope="row">${one.name}</th><td class="right">${number(one.value)}</td>
        <td class="quiet">${one.interval ? one.interval.map(number).join(" to ") : "–"}</td></tr>`)}</tbody></table></section>`}
    <section><h2>Facts</h2><${Facts} run=${run} />
      ${run.report && html`<p><a href=${run.report}>Full report</a></p>`}
      ${run.use && run.served && html`<details><summary>Serve it</summary><pre tabindex="0">${run.use}</pre></details>`}</section></div>
    <section><h2>Curves</h2><${Plot} title="Loss" lines=${[
      { name: "training", points: run.training }, { name: "validation", points: run.validation }]} />
      <${Save} name=${`${name}-loss`} rows=${() => [["part", "step", "loss"], ...["training", "validation"].flatMap((part) => run[part].map((one) => [part, ...one]))]} /></section>
    ${run.findings.length > 0 && html`<section><h2>Findings</h2><ul>${run.findings.map((one) => html`<li>
      <strong>${one.says ?? one.title}</strong> ${one.hint && html`<span class="quiet">${one.hint}</span>`}</li>`)}</ul></section>`}`;
}
