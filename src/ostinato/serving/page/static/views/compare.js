// Runs side by side: figures, curves, and the settings that differ.

import { html, useEffect, useState } from "../html.js";
import { call } from "../api.js";
import { figure, link, number, Problem, Waiting } from "../parts.js";
import { Plot } from "../plot.js";
import { Save } from "../saving.js";
import { listed } from "./runs.js";

const said = (value) => (value === undefined ? "–" : value === null ? "none" : Array.isArray(value) ? value.join(", ") || "none" : String(value));

function Side({ title, runs, rows, show }) {
  const head = ["", ...runs.map((one) => one.name)];
  const plain = () => [head, ...rows.map((row) => [row.name, ...row.cells.map((one) => (one && typeof one === "object" && "value" in one ? one.value : said(one)))])];
  return html`<section><h2>${title}</h2><div class="wide" tabindex="0" role="region" aria-label=${title}><table class="side"><thead><tr><th scope="col"><span class="unseen">what</span></th>
    ${runs.map((one) => html`<th key=${one.name} scope="col"><a href=${link("run", one.name)}>${one.name}</a></th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.name}><th scope="row">${row.name}</th>${row.cells.map((one) => html`<td>${show(one)}</td>`)}</tr>`)}</tbody></table></div>
    <${Save} name=${title.toLowerCase()} rows=${plain} canvas=${null} /></section>`;
}

export function Compare({ query }) {
  const names = listed(query.runs), of = query.of ?? "validation";
  const [state, setState] = useState({});
  useEffect(() => {
    let current = true, timer;
    const read = () => Promise.all(names.map((name) => call(`/v1/runs/${encodeURIComponent(name)}`))).then((runs) => {
      if (!current) return;
      setState({ runs: runs.filter((one) => one.figures) });
      if (runs.some((one) => one.state === "training")) timer = setTimeout(read, 3000);
    }, (error) => current && setState({ error }));
    read();
    return () => { current = false; clearTimeout(timer); };
  }, [query.runs]);
  const title = html`<h1>Compare runs</h1>`;
  if (names.length < 2) return html`${title}<p>Tick two runs or more in <a href="#/">the table of runs</a>.</p>`;
  if (state.error) return html`${title}<${Problem} error=${state.error} />`;
  if (!state.runs) return html`${title}<${Waiting} />`;
  const { runs } = state;
  const keys = [...new Map(runs.flatMap((one) => one.figures.map((each) => [each.key, each.name]))).entries()];
  const figures = keys.map(([key, name]) => ({ name, cells: runs.map((one) => one.figures.find((each) => each.key === key)) }));
  const settings = [...new Set(runs.flatMap((one) => Object.keys(one.settings)))].sort()
    .map((name) => ({ name, cells: runs.map((one) => one.settings[name]) }))
    .filter((row) => new Set(row.cells.map((one) => JSON.stringify(one))).size > 1);
  const facts = [...new Set(runs.flatMap((one) => one.facts.map(([name]) => name)))].map((name) => ({ name, cells: runs.map((one) => one.facts.find(([key]) => key === name)?.[1]) }));
  const lines = runs.map((one) => ({ name: one.name, points: one[of] }));
  const sameData = new Set(runs.map((one) => one.data)).size === 1;
  return html`${title}${!sameData && html`<p class="quiet">These runs were trained on different data: their figures don't say which model is better.</p>`}
    <${Side} title="Figures" runs=${runs} rows=${figures} show=${(one) => (one ? figure(one) : "–")} />
    <section><h2>Curves</h2><p class="row" role="group" aria-label="Which loss">${["validation", "training"].map((one) => html`<a key=${one} class="go" aria-current=${one === of ? "true" : null}
      href=${`#/compare?${new URLSearchParams({ ...query, of: one })}`}>${one}</a>`)}</p>
      <${Plot} title=${`Loss, ${of}`} lines=${lines} />
      <${Save} name=${`loss-${of}`} rows=${() => [["run", "step", "loss"], ...lines.flatMap((one) => one.points.map(([step, loss]) => [one.name, step, loss]))]} /></section>
    <${Side} title="Settings that differ" runs=${runs} rows=${settings} show=${said} />
    <${Side} title="Facts" runs=${runs} rows=${facts} show=${(one) => (typeof one === "number" ? number(one) : said(one))} />`;
}
