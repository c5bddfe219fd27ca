// A file that was dropped: what is in it, what would be trained on it and why; change it, and train.

import { html, useEffect, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { link, number, Problem, Waiting } from "../parts.js";

const lines = (text) => (text ?? "").split("\n").map((one) => one.trim()).filter(Boolean);

const bad = (found) => (found.num_bad_rows === 1 ? "A row" : `${number(found.num_bad_rows)} rows`);

function Pick({ name, label, value, columns, none, onPick }) {
  const there = value && !columns.includes(value) ? [value, ...columns] : columns;
  return html`<div><label for=${name}>${label}</label><select id=${name} value=${value ?? ""} onChange=${(event) => onPick(event.target.value)}>
    <option value="">${none}</option>${there.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></div>`;
}

function Columns({ found }) {
  return html`<section><h2>Columns</h2><div class="wide" tabindex="0" role="region" aria-label="Table of columns"><table>
    <thead><tr><th scope="col">column</th><th scope="col" class="right">values</th><th scope="col" class="right">distinct</th>
      <th scope="col" class="right">longest</th><th scope="col">for example</th></tr></thead>
    <tbody>${found.columns.map((one) => html`<tr key=${one.name}><th scope="row">${one.name}</th><td class="right">${number(one.values)}</td>
      <td class="right nowrap">${one.distinct}</td><td class="right nowrap">${number(one.longest)} <span class="quiet">${one.of}</span></td>
      <td class="example">${one.example}</td></tr>`)}</tbody></table></div>
    ${found.num_columns > found.columns.length && html`<p class="quiet">and ${number(found.num_columns - found.columns.length)} more columns</p>`}
    ${found.num_bad_rows > 0 && html`<h3>${bad(found)} can't be used</h3><ul>${found.bad_rows.map((one) => html`<li key=${one}>${one}</li>`)}</ul>`}</section>`;
}

export function New({ name, query }) {
  const [state, setState] = useState({ waiting: true });
  const [minutes, setMinutes] = useState(query.minutes ?? "");
  const [settings, setSettings] = useState(query.settings ?? null);
  const { answer: about } = useAnswer("/v1/workshop");
  const asked = { file: name, input: query.input || null, target: query.target || null, task: query.task || null, settings: lines(query.settings) };
  const key = JSON.stringify(asked);
  useEffect(() => {
    let current = true;
    setState((before) => ({ ...before, waiting: true }));
    call("/v1/workshop/describe", { body: asked }).then((found) => current && setState({ found }), (error) => current && setState({ error }));
    return () => { current = false; };
  }, [key]);
  const { found } = state;
  const said = settings ?? found?.choice.settings.join("\n") ?? "";
  const change = (more) => {
    const now = { ...found?.choice, settings: said, minutes, ...more };
    location.hash = link("new", name, Object.fromEntries(Object.entries(now).filter(([, value]) => value && value.length)));
  };
  const leaveOut = () => { const more = [said, "data.on_bad_row=skip"].filter(Boolean).join("\n"); setSettings(more); change({ settings: more }); };
  const train = async (event) => {
    event.preventDefault();
    setState({ ...state, training: true });
    const body = { file: name, ...found.choice, settings: lines(said), minutes: minutes ? Number(minutes) : null };
    try { location.hash = link("run", (await call("/v1/workshop/trainings", { body })).run); } catch (refused) { setState({ ...state, refused }); }
  };
  const title = html`<h1>Train on ${name}</h1>`;
  if (state.error) return html`${title}<${Problem} error=${state.error} /><p><a href="#/">Drop another file</a>${query.settings && html` or <a href=${link("new", name)}>begin again</a>`}</p>`;
  if (!found) return html`${title}<${Waiting}>Reading the file…<//>`;
  const columns = found.columns.map((one) => one.name);
  return html`${title}<p class="quiet">${[found.format, found.encoding, `${number(found.rows)} ${found.rows === 1 ? "row" : "rows"}`].filter(Boolean).join(" · ")}</p>
    ${found.problem && html`<${Problem} error=${{ ...found.problem, message: found.problem.title }} />`}
    ${found.noun && html`<p class="label" aria-live="polite">${found.noun[0].toUpperCase() + found.noun.slice(1)}${found.input && html` that reads <strong>${found.input}</strong>`}${
      found.target && html` and predicts <strong>${found.target}</strong>`}</p>`}
    ${found.notes.length > 0 && html`<details open><summary>Why</summary><ul class="why">${found.notes.map((one) => html`<li key=${one}>${one}</li>`)}</ul></details>`}
    ${found.num_bad_rows > 0 && !said.includes("data.on_bad_row") && html`<p class="conclusion" role="status">${bad(found)} can't be used, and training would stop there.
      <button type="button" onClick=${leaveOut}>Leave ${found.num_bad_rows === 1 ? "it" : "them"} out</button></p>`}
    ${found.num_empty > 0 && !said.includes("data.on_bad_row") && html`<p class="conclusion" role="status">${found.num_empty === 1 ? "A row has" : `${number(found.num_empty)} rows have`} no value in a column that is read, and training would stop there.
      <button type="button" onClick=${leaveOut}>Leave ${found.num_empty === 1 ? "it" : "them"} out</button></p>`}
    <form onSubmit=${train} aria-busy=${Boolean(state.waiting)}><div class="fields">
      <${Pick} name="input" label="Reads" value=${found.input} columns=${columns} none="(as inferred)" onPick=${(input) => change({ input })} />
      <${Pick} name="target" label="Predicts" value=${found.target} columns=${columns} none="(no column)" onPick=${(target) => change({ target })} />
      <div><label for="task">Task</label><select id="task" value=${found.choice.task ?? ""} onChange=${(event) => change({ task: event.target.value })}>
        <option value="">${found.task ? `as inferred: ${found.task.replaceAll("_", " ")}` : "as inferred"}</option>
        ${(about?.tasks ?? []).map((one) => html`<option key=${one} value=${one}>${one.replaceAll("_", " ")}</option>`)}</select></div>
      <div><label for="minutes">Minutes</label><input id="minutes" type="number" min="0.05" step="any" placeholder="by a plan" value=${minutes}
        onInput=${(event) => setMinutes(event.target.value)} /></div></div>
      <details open=${said !== ""}><summary>Further settings</summary><label for="settings">A line each, such as model.hidden_size=128 or model.cell=gru</label>
        <textarea id="settings" rows="3" spellcheck=${false} value=${said} onInput=${(event) => setSettings(event.target.value)}
          onChange=${() => change({})}></textarea></details>
      <p><button class="primary" disabled=${!found.noun || state.waiting || state.training}>Train</button></p>
      ${state.refused && html`<${Problem} error=${state.refused} />`}</form>
    <details><summary>The same in a terminal</summary><pre tabindex="0">${found.command}${minutes && ` --minutes ${minutes}`}</pre></details>
    <${Columns} found=${found} />`;
}
