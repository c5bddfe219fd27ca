// Ask a run's model: what is asked for follows its columns, what is shown follows its answer.

import { html, useEffect, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { bare, Problem, Tabs, Waiting } from "../parts.js";
import { Answer, Running } from "./answers.js";
import { Draw } from "./draw.js";
import { Frames } from "./frames.js";
import { Sound } from "./sound.js";
import { Write } from "./write.js";

const LONGEST_LINK = 6000;

// Numbers as people paste them: a line a step, or all in one line; or as JSON.
export function numbers(text) {
  if (text.trim().startsWith("[")) { try { return JSON.parse(text); } catch { return null; } }
  const lines = text.trim().split(/\n+/).map((line) => line.split(/[\s,;]+/).filter(Boolean).map(Number));
  if (lines.flat().some(Number.isNaN)) return null;
  if (lines.length === 1) return lines[0];
  return lines.every((line) => line.length === 1) ? lines.flat() : lines;
}

const cell = (column, text) => (column.is_text ? text : (/[\d]/.test(text) && numbers(text)) || text);

// A cell as it is typed.
function typed(value) {
  if (!Array.isArray(value)) return String(value);
  if (value.every((one) => typeof one === "string")) return value.join(" ");
  return value.some(Array.isArray) && value.every((one) => Array.isArray(one) && one.length) ? value.map((one) => one.join(" ")).join("\n") : value.some(Array.isArray) ? JSON.stringify(value) : value.join(", ");
}

const isCurve = (column, text) => !column.is_text && !column.is_file && ["series", "forecast"].includes(column.kind) && (!text || (numbers(text) ?? [[]]).every(Number.isFinite));

function Predict({ name, asked, query, go }) {
  const { columns, examples } = asked, first = columns[0], isFile = first.is_file;
  const linked = columns.every((column) => query[`in.${column.name}`] !== undefined);
  const [example, setExample] = useState(0);
  const cellsOf = (row) => Object.fromEntries(columns.map((column) => [column.name, typed(row[column.name] ?? "")]));
  const [texts, setTexts] = useState(linked ? Object.fromEntries(columns.map((column) => [column.name, query[`in.${column.name}`]])) : examples.length ? cellsOf(examples[0]) : {});
  const [file, setFile] = useState(null);
  const [state, setState] = useState({});
  const ask = async () => {
    setState({ waiting: true });
    const path = `/v1/models/${encodeURIComponent(name)}/predict`;
    try {
      const row = Object.fromEntries(columns.map((column) => [column.name, cell(column, texts[column.name] ?? "")]));
      const found = isFile
        ? await call(`${path}?${new URLSearchParams({ name: file.name })}`, { raw: file, type: file.type || "application/octet-stream" })
        : await call(path, { body: { rows: [bare(row)] } });
      setState({ found: found.predictions[0], row: isFile ? null : row });
    } catch (error) { setState({ error }); }
  };
  const send = (event) => {
    event.preventDefault();
    const given = Object.fromEntries(columns.filter((column) => !column.is_file).map((column) => [`in.${column.name}`, texts[column.name] ?? ""]));
    if (!isFile && JSON.stringify(given).length < LONGEST_LINK) go({ ...given, origin: "" });
    ask();
  };
  useEffect(() => { if (linked && !isFile) ask(); }, []);
  const other = () => { const at = (example + 1) % examples.length; setExample(at); setTexts(cellsOf(examples[at])); };
  const field = (column, at) => html`<div key=${column.name}><label for=${`field${at}`}>${columns.length > 1 || column.name !== "input" ? column.name : "Input"}
    <span class="quiet"> ${column.is_text ? column.kind : column.is_file ? `a file (${column.kind})` : `${column.kind}: numbers, a line for each step`}</span></label>
    ${column.is_file ? html`<input id=${`field${at}`} type="file" required onChange=${(event) => setFile(event.target.files[0])} />`
      : html`<textarea id=${`field${at}`} rows=${at ? 1 : 4} required spellcheck=${false} value=${texts[column.name] ?? ""}
        onInput=${(event) => setTexts({ ...texts, [column.name]: event.target.value })}
        onKeyDown=${(event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && event.target.form.requestSubmit()}></textarea>`}
    ${isCurve(column, texts[column.name]) && html`<p class="quiet pen">or draw it:</p><${Draw} values=${numbers(texts[column.name] ?? "")}
      onDraw=${(drawn) => setTexts((before) => ({ ...before, [column.name]: drawn.join(", ") }))} />`}</div>`;
  return html`<form onSubmit=${send}>${columns.map(field)}<p class="row"><button class="primary" disabled=${state.waiting}>Predict</button>
      ${examples.length > 1 && html`<button type="button" onClick=${other}>Another example</button>`}<span class="quiet"> or Ctrl+Enter</span></p></form>
    ${state.error && html`<${Problem} error=${state.error} />`}
    ${state.found && html`<${Answer} found=${state.found} row=${state.row} column=${first.name} isText=${first.is_text} model=${name} query=${query} go=${go} />`}
    ${state.found && asked.sessions && state.row && state.found.probabilities && html`<${Running} name=${name} given=${state.row[first.name]} />`}`;
}

export function Try({ name, query }) {
  const { answer: run, error } = useAnswer(`/v1/runs/${encodeURIComponent(name)}`);
  const { answer: asked, error: failed } = useAnswer(`/v1/runs/${encodeURIComponent(name)}/asked`);
  if (error) return html`<h1>Try ${name}</h1><${Problem} error=${error} />`;
  if (!run) return html`<h1>Try ${name}</h1><${Waiting} />`;
  // Says in the address what is shown, without a step of the browser's history for each.
  const go = (more) => {
    const now = new URLSearchParams(location.hash.split("?")[1] ?? "");
    Object.entries(more).forEach(([key, value]) => (value === "" ? now.delete(key) : now.set(key, value)));
    history.replaceState(null, "", `#/try/${encodeURIComponent(name)}?${now}`);
  };
  const body = failed ? html`<${Problem} error=${failed} />` : !asked ? html`<${Waiting}>Opening the model…<//>`
    : asked.writes && asked.columns[0].is_text ? html`<${Write} name=${name} query=${query} go=${go} />`
      : asked.writes ? html`<${Frames} name=${name} asked=${asked} query=${query} go=${go} />`
      : asked.columns.length === 1 && asked.columns[0].kind === "audio" ? html`<${Sound} name=${name} asked=${asked} />`
      : html`<${Predict} name=${name} asked=${asked} query=${query} go=${go} />`;
  return html`<h1>Try ${name}</h1><${Tabs} name=${name} view="try" run=${run} />${body}`;
}
