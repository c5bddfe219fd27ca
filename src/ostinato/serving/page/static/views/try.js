// Ask a run's model: what is asked for follows its columns, what is shown follows its answer.

import { html, useEffect, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { Bars, number, Problem, Tabs, Waiting } from "../parts.js";
import { Plot } from "../plot.js";
import { Write } from "./write.js";

// Numbers as people paste them: a line a step, or all in one line.
export function numbers(text) {
  const lines = text.trim().split(/\n+/).map((line) => line.split(/[\s,;]+/).filter(Boolean).map(Number));
  if (lines.flat().some(Number.isNaN)) return null;
  if (lines.length === 1) return lines[0];
  return lines.every((line) => line.length === 1) ? lines.flat() : lines;
}

const cell = (column, text) => (column.is_text ? text : (/[\d]/.test(text) && numbers(text)) || text);

function Tags({ words, tags, shares }) {
  const cut = words.trim().split(/\s+/);
  const shown = cut.length === tags.length ? cut : [...words].length === tags.length ? [...words] : tags.map((_, at) => at + 1);
  const kinds = [...new Set(tags)];
  return html`<p class="tagged">${tags.map((tag, at) => html`<span class=${`tag tag${kinds.indexOf(tag) % 6}`}
    title=${shares ? `${(100 * shares[at]).toFixed(1)} %` : ""}><span>${shown[at]}</span><small>${tag}</small></span>`)}</p>`;
}

function Forecast({ past, found }) {
  const channels = found.details?.channels ?? ["value"];
  const last = Array.isArray(past) ? past : [];
  const count = last.length, of = (value, at) => (Array.isArray(value) ? value[at] : value);
  return html`<div>${channels.map((name, at) => {
    const joint = count ? [[count - 1, of(last[count - 1], at)]] : [];
    const ahead = [...joint, ...found.values.map((value, step) => [count + step, of(value, at)])];
    const levels = Object.entries(found.details?.quantiles ?? {}).sort((one, other) => one[0] - other[0]);
    const bands = levels.length < 2 ? [] : [{ name: `${levels[0][0]} to ${levels.at(-1)[0]}`,
      points: [...joint.map(([step, value]) => [step, value, value]), ...found.values.map((_, step) =>
        [count + step, of(levels[0][1][step], at), of(levels.at(-1)[1][step], at)])] }];
    return html`<${Plot} key=${name} title=${name} bands=${bands} lines=${[
      { name: "given", points: last.map((value, step) => [step, of(value, at)]) }, { name: "forecast", points: ahead }]} />`;
  })}<p>${found.values.map((value) => [value].flat().map(number).join("/")).join(", ")}</p></div>`;
}

function Answer({ found, given }) {
  const said = found.label ?? found.labels?.join(", ") ?? (typeof found.value === "number" ? number(found.value) : null);
  return html`<section aria-live="polite"><h2>Answer</h2>
    ${said !== null && html`<p class="label">${said}</p>`}
    ${found.probabilities && !Array.isArray(found.probabilities) && html`<${Bars} shares=${found.probabilities} />`}
    ${found.tags && html`<${Tags} words=${String(given)} tags=${found.tags} shares=${found.details?.probabilities} />`}
    ${found.values && html`<${Forecast} past=${given} found=${found} />`}
    ${found.text !== undefined && html`<p class="label">${found.text}</p>`}
    ${found.candidates && html`<ol>${found.candidates.map(([text, score]) => html`<li>${text} <span class="quiet">${number(score)}</span></li>`)}</ol>`}
    <details><summary>As JSON</summary><pre tabindex="0">${JSON.stringify(found, null, 1)}</pre></details></section>`;
}

// What a classifier that reads forward in time says after each step.
function Running({ name, given }) {
  const [answers, setAnswers] = useState(null);
  useEffect(() => {
    setAnswers(null);
    call(`/v1/models/${encodeURIComponent(name)}/score`, { body: { inputs: given } })
      .then((found) => setAnswers(found.answers), () => setAnswers(null));
  }, [name, JSON.stringify(given)]);
  const shares = (answers ?? []).map((one) => one.probabilities).filter((one) => one && !Array.isArray(one));
  if (shares.length < 2) return null;
  const names = Object.entries(shares.at(-1)).sort((one, other) => other[1] - one[1]).slice(0, 4).map(([key]) => key);
  return html`<${Plot} title="The answer as it is read" lines=${names.map((key) => ({ name: key, points: shares.map((one, at) => [at + 1, one[key]]) }))} />`;
}

function Predict({ name, asked }) {
  const [texts, setTexts] = useState({});
  const [file, setFile] = useState(null);
  const [state, setState] = useState({});
  const isFile = asked.columns[0].is_file;
  const send = async (event) => {
    event.preventDefault();
    setState({ waiting: true });
    const path = `/v1/models/${encodeURIComponent(name)}/predict`;
    try {
      const cells = Object.fromEntries(asked.columns.map((column) => [column.name, cell(column, texts[column.name] ?? "")]));
      const row = asked.columns.length === 1 ? cells[asked.columns[0].name] : cells;
      const found = isFile
        ? await call(`${path}?${new URLSearchParams({ name: file.name })}`, { raw: file, type: file.type || "application/octet-stream" })
        : await call(path, { body: { rows: [row] } });
      setState({ found: found.predictions[0], given: isFile ? file.name : cells[asked.columns[0].name] });
    } catch (error) { setState({ error }); }
  };
  const field = (column, at) => html`<div key=${column.name}><label for=${`field${at}`}>${asked.columns.length > 1 || column.name !== "input" ? column.name : "Input"}
    <span class="quiet"> ${column.is_text ? column.kind : column.is_file ? `a file (${column.kind})` : `${column.kind}: numbers, a line for each step`}</span></label>
    ${column.is_file ? html`<input id=${`field${at}`} type="file" required onChange=${(event) => setFile(event.target.files[0])} />`
      : html`<textarea id=${`field${at}`} rows=${at ? 1 : 4} required spellcheck=${false} value=${texts[column.name] ?? ""}
        onInput=${(event) => setTexts({ ...texts, [column.name]: event.target.value })}
        onKeyDown=${(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && event.target.form.requestSubmit()}></textarea>`}</div>`;
  return html`<form onSubmit=${send}>${asked.columns.map(field)}<p><button class="primary" disabled=${state.waiting}>Predict</button>
      <span class="quiet"> or Ctrl+Enter</span></p></form>
    ${state.error && html`<${Problem} error=${state.error} />`}
    ${state.found && html`<${Answer} found=${state.found} given=${state.given} />`}
    ${state.found && asked.sessions && state.found.probabilities && html`<${Running} name=${name} given=${state.given} />`}`;
}

export function Try({ name, query }) {
  const { answer: run, error } = useAnswer(`/v1/runs/${encodeURIComponent(name)}`);
  const { answer: asked, error: failed } = useAnswer(`/v1/runs/${encodeURIComponent(name)}/asked`);
  if (error) return html`<h1>Try ${name}</h1><${Problem} error=${error} />`;
  if (!run) return html`<h1>Try ${name}</h1><${Waiting} />`;
  const body = failed ? html`<${Problem} error=${failed} />` : !asked ? html`<${Waiting}>Opening the model…<//>`
    : asked.writes && asked.columns[0].is_text ? html`<${Write} name=${name} prompt=${query.prompt ?? ""} />`
      : html`<${Predict} name=${name} asked=${asked} />`;
  return html`<h1>Try ${name}</h1><${Tabs} name=${name} view="try" run=${run} />${body}`;
}
