// What a model answers, by its form.

import { html, useEffect, useState } from "../html.js";
import { call } from "../api.js";
import { Bars, number } from "../parts.js";
import { Plot } from "../plot.js";
import { Save } from "../saving.js";
import { Attribution, explains } from "./attribution.js";
import { Forecast } from "./forecast.js";

function Tags({ words, tags, shares }) {
  const cut = words.trim().split(/\s+/);
  const shown = cut.length === tags.length ? cut : [...words].length === tags.length ? [...words] : tags.map((_, at) => at + 1);
  const kinds = [...new Set(tags)];
  return html`<p class="tagged">${tags.map((tag, at) => html`<span class=${`tag tag${kinds.indexOf(tag) % 6}`}
    title=${shares ? `${(100 * shares[at]).toFixed(1)} %` : ""}><span>${shown[at]}</span><small>${tag}</small></span>`)}</p>`;
}

// An answer as rows.
function rowsOf(found) {
  if (found.tags) return [["step", "tag", "probability"], ...found.tags.map((tag, at) => [at + 1, tag, found.details?.probabilities?.[at]])];
  if (found.probabilities) return [["answer", "probability"], ...Object.entries(found.probabilities)];
  if (found.candidates) return [["text", "score"], ...found.candidates];
  return [["answer"], [found.label ?? found.value ?? found.text ?? ""]];
}

export function Answer({ found, row, column, isText, model, query, go }) {
  const said = found.label ?? found.labels?.join(", ") ?? (typeof found.value === "number" ? number(found.value) : null);
  const given = row?.[column];
  return html`<section aria-live="polite"><h2>Answer</h2>
    ${said !== null && html`<p class="label">${said}</p>`}
    ${found.probabilities && !Array.isArray(found.probabilities) && html`<${Bars} shares=${found.probabilities} />`}
    ${found.tags && html`<${Tags} words=${String(given)} tags=${found.tags} shares=${found.details?.probabilities} />`}
    ${found.values && html`<${Forecast} key=${JSON.stringify(given)} model=${model} row=${row} column=${column} found=${found} query=${query} go=${go} />`}
    ${found.text !== undefined && html`<p class="label">${found.text}</p>`}
    ${found.candidates && html`<ol>${found.candidates.map(([text, score]) => html`<li>${text} <span class="quiet">${number(score)}</span></li>`)}</ol>`}
    ${!found.values && html`<${Save} name=${`${model} answer`} canvas=${null} rows=${() => rowsOf(found)} />`}
    <details><summary>As JSON</summary><pre tabindex="0">${JSON.stringify(found, null, 1)}</pre></details></section>
    ${isText && typeof given === "string" && explains(found) && html`<${Attribution} key=${given} model=${model} column=${column} row=${row} found=${found} />`}`;
}

// What a classifier that reads forward in time says after each step.
export function Running({ name, given }) {
  const [answers, setAnswers] = useState(null);
  useEffect(() => {
    setAnswers(null);
    call(`/v1/models/${encodeURIComponent(name)}/score`, { body: { inputs: given } })
      .then((found) => setAnswers(found.answers), () => setAnswers(null));
  }, [name, JSON.stringify(given)]);
  return html`<${Shares} title="The answer as it is read" answers=${answers ?? []} />`;
}

// The likeliest answers over time; `at` says when each was given.
export function Shares({ title, answers, at = (step) => step + 1, x = "step" }) {
  const shares = answers.map((one) => one.probabilities).filter((one) => one && !Array.isArray(one));
  if (shares.length < 2) return null;
  const names = Object.entries(shares.at(-1)).sort((one, other) => other[1] - one[1]).slice(0, 4).map(([key]) => key);
  return html`<section><${Plot} title=${title} x=${x} lines=${names.map((key) => ({ name: key, points: shares.map((one, step) => [at(step), one[key]]) }))} />
    <${Save} name=${title.toLowerCase()} rows=${() => [[x, ...Object.keys(shares.at(-1))], ...shares.map((one, step) => [at(step), ...Object.values(one)])]} /></section>`;
}
