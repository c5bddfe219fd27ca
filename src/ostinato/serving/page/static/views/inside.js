// What units do, and which tell a question.

import { html, useState } from "../html.js";
import { useAnswer } from "../api.js";
import { link, number, Problem, Tabs, Waiting } from "../parts.js";
import { Plot } from "../plot.js";
import { Save } from "../saving.js";

const IDEAS = ["token in 'aeiou'", "isupper()", "since('\\n')", "position", "surprise > 2"];
const unitName = (one) => `${one.series}[${one.unit}]`;

function Coloured({ found }) {
  const values = found.values;
  const low = Math.min(...values), high = Math.max(...values);
  return html`<p class="coloured" tabindex="0" role="region" aria-label="The first steps, coloured by the unit's value">${
    found.tokens.map((token, at) => {
      const share = high > low ? (2 * (values[at] - low)) / (high - low) - 1 : 0;
      const tint = { "--share": Math.abs(share).toFixed(2) };
      return html`<span class=${share > 0 ? "up" : "down"} style=${tint} title=${`step ${at}: ${number(values[at])}`}>${
        String(token).replace("\n", "⏎\n")}${found.separator}</span>`;
    })}</p>`;
}

function Answer({ name, query, found }) {
  const { answer } = found;
  if (!answer.units.length) return html`<p role="status">This has one answer at all steps of a half of the data: no unit could tell it. Read more steps.</p>`;
  const shown = unitName(found.shown);
  return html`<section><h2>Units that tell it</h2><table><thead><tr><th scope="col">unit</th><th scope="col" class="right">r</th>
    <th scope="col">strength</th></tr></thead><tbody>${answer.units.map((one) => html`<tr key=${unitName(one)}>
      <th scope="row" class="nowrap"><a href=${link("inside", name, { ...query, series: one.series, unit: one.unit })}
        aria-current=${shown === unitName(one) ? "true" : null}>${unitName(one)}</a></th>
      <td class="right">${one.correlation.toFixed(3)}</td>
      <td class="bars"><span class="bar" style=${{ width: `${Math.round(100 * Math.abs(one.correlation))}%` }}></span></td></tr>`)}</tbody></table>
    <p>A linear map of ${answer.probe.map(unitName).join(", ") || "no unit"} reaches R² = ${answer.r_squared.toFixed(3)}. <span class="quiet">Scored on steps that chose and fitted nothing.</span></p>
    <${Save} name=${`${name} units`} canvas=${null} rows=${() => [["unit", "r"], ...answer.units.map((one) => [unitName(one), one.correlation])]} /></section>`;
}

export function Inside({ name, query }) {
  const [question, setQuestion] = useState(query.question ?? "");
  const steps = query.steps ?? "4000";
  const { answer: found, error, waiting } = useAnswer(`/v1/runs/${encodeURIComponent(name)}/explore?${new URLSearchParams({ ...query, steps })}`);
  const ask = (event) => { event.preventDefault(); location.hash = link("inside", name, { question, steps }); };
  const idea = (one) => { setQuestion(one); location.hash = link("inside", name, { question: one, steps }); };
  const isText = found?.tokens.length > 0 && typeof found.tokens[0] === "string";
  return html`<h1>Inside ${name}</h1><${Tabs} name=${name} view="inside" />
    <form onSubmit=${ask}><label for="question">A question that has an answer at every step</label>
      <div class="row"><input id="question" class="grow" value=${question} spellcheck=${false} autocomplete="off"
        onInput=${(event) => setQuestion(event.target.value)} placeholder="inside('(', ')')" />
      <button class="primary">Ask</button></div></form>
    <p class="ideas">${IDEAS.map((one) => html`<button key=${one} type="button" onClick=${() => idea(one)}>${one}</button>`)}</p>
    ${waiting && html`<${Waiting}>Reading the run's validation data…<//>`}
    ${error && html`<${Problem} error=${error} />`}
    ${found && html`<p class="quiet">${number(found.num_steps)} steps of ${found.num_rows === 1 ? "one row" : `${number(found.num_rows)} rows`}; ${Object.entries(found.series)
      .map(([part, count]) => `${part} (${count})`).join(", ")}</p>
      ${found.answer && html`<${Answer} name=${name} query=${query} found=${found} />`}
      <section><h2>${unitName(found.shown)}, step by step</h2>
      ${isText && html`<p class="quiet">High on <span class="up" style=${{ "--share": 1 }}>orange</span>, low on <span class="down" style=${{ "--share": 1 }}>blue</span>.</p><${Coloured} found=${found} />`}
      <${Plot} title="The first 200 steps" lines=${[{ name: unitName(found.shown), points: found.values.slice(0, 200).map((one, at) => [at, one]) },
        ...(isText || !found.tokens.length ? [] : [{ name: "value", points: found.tokens.slice(0, 200).map((one, at) => [at, Number(one)]) }])]} />
      <${Save} name=${`${name} ${unitName(found.shown)}`} rows=${() => [["step", "token", "value"], ...found.values.map((one, at) => [at, found.tokens[at], one])]} /></section>`}`;
}
