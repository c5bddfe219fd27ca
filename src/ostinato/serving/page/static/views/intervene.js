// What a model writes with units or gates changed, beside what it writes untouched; and what each unit is worth.

import { html, useEffect, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { link, number, Problem, Tabs, Waiting } from "../parts.js";
import { Plot } from "../plot.js";
import { goesOn, Progress, useJob } from "../jobs.js";
import { Save } from "../saving.js";

const lines = (text) => text.split("\n").map((one) => one.trim()).filter(Boolean);

function Add({ parts, add }) {
  const names = Object.keys(parts.parts), all = { ...parts.parts, ...parts.gates };
  const [asked, setAsked] = useState({ part: names[0], units: "", how: "=", value: "0", other: "" });
  const set = (key) => (event) => setAsked({ ...asked, [key]: event.target.value });
  const units = asked.units.trim() ? `[${asked.units.trim()}]` : "", copies = asked.how === "copy" && asked.part in parts.parts;
  const text = `${asked.part}${units} ${copies ? `= ${asked.part}[${asked.other || 0}]` : `${asked.how === "copy" ? "=" : asked.how} ${asked.value}`}`;
  return html`<div class="row"><label>Change <select onChange=${set("part")}><optgroup label="state">${names.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</optgroup>
      <optgroup label="gates">${Object.keys(parts.gates).map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</optgroup></select></label>
    <label>units <input class="short mono" placeholder="all" value=${asked.units} onInput=${set("units")} aria-label=${`Units, of ${all[asked.part]}; empty: all`} /></label>
    <label class="unseen" for="how">How</label><select id="how" onChange=${set("how")}><option value="=">held at</option><option value="*=">times</option><option value="copy">copied from unit</option></select>
    ${copies ? html`<label class="unseen" for="other">Unit</label><input id="other" class="short" type="number" min="0" max=${all[asked.part] - 1} value=${asked.other} onInput=${set("other")} />`
      : html`<label class="unseen" for="value">Value</label><input id="value" class="short" type="number" step="any" value=${asked.value} onInput=${set("value")} />`}
    <button type="button" onClick=${() => add(text)}>Add</button></div>`;
}

function Written({ found, prompt }) {
  const [one, other] = [found.untouched, found.changed];
  let same = 0;
  while (same < Math.min(one.length, other.length) && one[same] === other[same]) same += 1;
  const show = (text) => html`<p class="written">${prompt.slice(-60)}<span class="quiet">${text.slice(0, same)}</span>${text.slice(same)}</p>`;
  const cost = (value) => (value === null ? "" : `the prompt's changed part costs ${number(value)} nats a step`);
  return html`<section aria-live="polite"><div class="columns"><section><h2>Untouched <span class="quiet">${cost(found.untouched_nll)}</span></h2>${show(one)}</section>
    <section><h2>Changed <span class="quiet">${cost(found.changed_nll)}</span></h2>${show(other)}</section></div></section>`;
}

function Worth({ name, run, parts, hold, query }) {
  const work = useJob(`${run}/jobs/ablation`), layers = [...new Set(Object.keys(parts.parts).map((one) => one.split(".")[0]))];
  const [layer, setLayer] = useState(query.layer ?? "");
  const found = work.job?.result, ranked = found?.units ?? [];
  const csv = () => [["part", "unit", "nats a step more", "standard error"], ...ranked.map((one) => [one.part, one.unit, one.change, one.error])];
  const most = Math.max(...ranked.map((one) => Math.abs(one.change)), 1e-12);
  return html`<section><h2>What each unit is worth</h2><p class="quiet">Each unit's h is held at its mean, one after the other, over twelve windows of validation data.</p>
    <div class="row">${layers.length > 1 && html`<label>Layer <select onChange=${(event) => setLayer(event.target.value)}><option value="">all</option>${layers.map((one, at) => html`<option value=${at + 1} selected=${String(at + 1) === layer}>${at + 1}</option>`)}</select></label>`}
      <button type="button" disabled=${goesOn(work.job)} onClick=${() => work.start({ layer: layer ? Number(layer) : null })}>Measure</button></div>
    <${Progress} work=${work} following="Windows" />
    ${found && html`<p>Untouched, ${number(found.loss)} nats a step in ${found.num_windows} windows of ${found.num_steps} steps.</p>
      <div class="columns"><div class="wide" tabindex="0" role="region" aria-label="Units, ranked"><table><thead><tr><th scope="col">unit</th><th scope="col" class="right">nats more</th><th scope="col" class="right">± error</th><th scope="col">share</th><th scope="col"><span class="unseen">change it</span></th></tr></thead><tbody>${ranked.slice(0, 15).map((one) => html`<tr key=${`${one.part}${one.unit}`}>
        <th scope="row" class="nowrap"><a href=${link("states", name, { series: one.part, unit: one.unit })}>${one.part}[${one.unit}]</a></th><td class="right">${one.change.toFixed(4)}</td><td class="right quiet">${one.error.toFixed(4)}</td>
        <td class="bars"><span class="bar" style=${{ width: `${Math.round((100 * Math.abs(one.change)) / most)}%` }}></span></td><td><button type="button" aria-label=${`Silence ${one.part}[${one.unit}]`} onClick=${() => hold(`${one.part}[${one.unit}] = 0`)}>silence</button></td></tr>`)}</tbody></table></div>
      <section><${Plot} title="All units, the one worth most first" x="rank" bands=${[{ name: "two standard errors", points: ranked.map((one, at) => [at + 1, one.change - 2 * one.error, one.change + 2 * one.error]) }]}
        lines=${[{ name: "nats a step more", points: ranked.map((one, at) => [at + 1, one.change]) }]} /><${Save} name=${`${name} ablation`} rows=${csv} /></section></div>`}</section>`;
}

export function Intervene({ name, query }) {
  const run = `/v1/runs/${encodeURIComponent(name)}`;
  const { answer: parts, error: none } = useAnswer(`${run}/parts`);
  const [asked, setAsked] = useState({ prompt: query.prompt ?? "The ", edits: query.edits ?? "", begin: Number(query.begin ?? 0), count: Number(query.count ?? 200),
    temperature: Number(query.temperature ?? 0.7), seed: Number(query.seed ?? 0) });
  const [state, setState] = useState({});
  const set = (key, value) => setAsked({ ...asked, [key]: value });
  const write = async (given = asked) => {
    setState({ waiting: true });
    history.replaceState(null, "", link("intervene", name, given));
    try {
      const body = { interventions: lines(given.edits), prompt: given.prompt, begin: given.begin, max_new_tokens: given.count, temperature: given.temperature, seed: given.seed };
      setState({ found: await call(`${run}/intervene`, { body }), prompt: given.prompt });
    } catch (error) { setState({ error }); }
  };
  useEffect(() => { if (query.edits && parts?.writes) write(); }, [parts]);
  const add = (text) => set("edits", [...lines(asked.edits), text].join("\n"));
  const csv = () => [["", "text", "nats a step of the prompt"], ["untouched", state.found.untouched, state.found.untouched_nll], ["changed", state.found.changed, state.found.changed_nll]];
  return html`<div><h1>Intervene in ${name}</h1><${Tabs} name=${name} view="intervene" />
    ${none && html`<${Problem} error=${none} />`}${!parts && !none && html`<${Waiting} />`}
    ${parts?.writes && html`<form onSubmit=${(event) => { event.preventDefault(); write(); }}><label for="start">What is gone on from</label>
      <textarea id="start" rows="2" required value=${asked.prompt} onInput=${(event) => set("prompt", event.target.value)}></textarea>
      <${Add} parts=${parts} add=${add} />
      <label for="edits">Changes at every step, one a line</label><textarea id="edits" class="mono" rows="3" spellcheck=${false} value=${asked.edits} placeholder=${`${Object.keys(parts.parts)[0]}[3] = 0`} onInput=${(event) => set("edits", event.target.value)}></textarea>
      <p class="ideas">${Object.keys(parts.ideas).map((said) => html`<button key=${said} type="button" onClick=${() => add(parts.ideas[said])}>${said}</button>`)}</p>
      <div class="row"><label>from step <input type="number" min="0" value=${asked.begin} onInput=${(event) => set("begin", Number(event.target.value))} /></label>
        <label>Tokens <input type="number" min="1" max="2000" value=${asked.count} onInput=${(event) => set("count", Number(event.target.value))} /></label>
        <label>Temperature <input type="number" min="0" max="5" step="0.1" value=${asked.temperature} onInput=${(event) => set("temperature", Number(event.target.value))} /></label>
        <label>Seed <input type="number" min="0" value=${asked.seed} onInput=${(event) => set("seed", Number(event.target.value))} /></label>
        <button class="primary" disabled=${state.waiting}>Write both</button></div></form>
      ${state.error && html`<${Problem} error=${state.error} />`}${state.waiting && html`<${Waiting}>Writing…<//>`}
      ${state.found && html`<${Written} found=${state.found} prompt=${state.prompt} /><${Save} name=${`${name} changed`} canvas=${null} rows=${csv} />`}`}
    ${parts && html`<${Worth} name=${name} run=${run} parts=${parts} hold=${add} query=${query} />`}</div>`;
}
