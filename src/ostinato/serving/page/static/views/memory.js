// Diagnosis and memory: gradients by lag, the loss by context, exponents; and where the network would stand still.

import { html, useEffect, useState } from "../html.js";
import { useAnswer } from "../api.js";
import { link, number, Problem, Tabs, Waiting } from "../parts.js";
import { Plot } from "../plot.js";
import { goesOn, Progress, useJob } from "../jobs.js";
import { Save } from "../saving.js";
import { Reaching } from "./reaching.js";

const log10 = (value) => (value > 0 ? Math.log10(value) : null);

function Gradients({ name, part, pick }) {
  const csv = () => [["layer", "lag", "norm", "10 %", "90 %", "share"], ...part.gradients.flatMap((one) => one.norms.map((norm, lag) => [one.layer, lag, norm, one.low[lag], one.high[lag], one.share[lag]]))];
  return html`<section><h2>Gradient by lag</h2><${Plot} title="Norm of the loss's gradient so many steps before it, powers of ten" x="lag, steps" onPick=${pick} lines=${part.gradients.map((one) => ({ name: one.layer, points: one.norms.map((norm, lag) => [lag, log10(norm)]) }))} />
    <p>${part.gradients.map((one) => html`${one.layer}: 99 % of it within ${number(one.horizon_steps)} steps${one.factor_per_step ? html`, times ${number(one.factor_per_step)} with each step back` : ""}. `)}</p><${Save} name=${`${name} gradients`} rows=${csv} /></section>`;
}

function Horizon({ name, part, pick }) {
  const { horizon } = part, points = horizon.context.map((context, at) => [Math.log2(context), horizon.loss[at]]);
  const csv = () => [["context", "loss", "excess", "error"], ...horizon.context.map((context, at) => [context, horizon.loss[at], horizon.excess[at], horizon.error[at]])];
  return html`<section><h2>Memory horizon</h2>${points.length > 1 ? html`<${Plot} title="Loss, by how many steps back are seen" x="context, powers of two" onPick=${pick && ((context) => pick(Math.round(2 ** context) - 1, part.gradients.at(-1).layer))} lines=${[{ name: "loss, nats", points }]}
    bands=${[{ name: "two standard errors", points: points.map(([x, y], at) => [x, y - 2 * horizon.error[at], y + 2 * horizon.error[at]]) }]} />` : html`<p class="quiet">With less context this model has no loss.</p>`}
    <p>${horizon.steps === null ? "No memory beyond noise." : html`99 % of what memory is worth (${number(horizon.gain)} nats) is there within ${number(Math.round(horizon.steps))} steps, 90 % interval ${number(Math.round(horizon.low))} to ${number(Math.round(horizon.high))}.`}</p><${Save} name=${`${name} horizon`} rows=${csv} /></section>`;
}

function Exponents({ name, part }) {
  const csv = () => [["layer", "number", "nats a step"], ...part.dynamics.flatMap((one) => one.exponents_nats_per_step.map((value, at) => [one.layer, at + 1, value]))];
  return html`<section><h2>Lyapunov exponents</h2><table><thead><tr><th scope="col">layer</th><th scope="col">nats a step, the largest first</th><th scope="col">regime</th><th scope="col" class="right">steps to 1/e</th></tr></thead>
    <tbody>${part.dynamics.map((one) => html`<tr key=${one.layer}><th scope="row">${one.layer}</th><td>${one.exponents_nats_per_step.map((value) => (value === null ? "−∞" : number(value))).join(", ")} <span class="quiet">[${number(one.low)}, ${number(one.high)}]</span></td>
      <td>${one.regime}</td><td class="right">${one.time_constant_steps === null ? "–" : number(one.time_constant_steps)}</td></tr>`)}</tbody></table><${Save} name=${`${name} exponents`} canvas=${null} rows=${csv} /></section>`;
}

const SIZE = 300, EDGE = 22;

function Eigenvalues({ name, point }) {
  const reach = Math.max(1.15, ...point.eigenvalues.map(([real, imaginary]) => Math.max(Math.abs(real), Math.abs(imaginary)))), middle = SIZE / 2;
  const at = (value) => (value / reach) * (middle - EDGE);
  return html`<section><h3>Eigenvalues of ${name}</h3><svg class="way" viewBox=${`0 0 ${SIZE} ${SIZE}`} role="img" aria-label=${`Eigenvalues of ${name}, the largest ${point.eigenvalues.slice(0, 3).map(([real, imaginary]) => `${number(real)}${imaginary ? ` + ${number(imaginary)} i` : ""}`).join(", ")}`}>
    <line class="grid" x1="0" x2=${SIZE} y1=${middle} y2=${middle} /><line class="grid" x1=${middle} x2=${middle} y1="0" y2=${SIZE} /><circle class="ring" cx=${middle} cy=${middle} r=${at(1)} />
    ${point.eigenvalues.map(([real, imaginary]) => html`<circle class=${`dot line${Math.hypot(real, imaginary) > 1 ? 1 : 0}`} cx=${(middle + at(real)).toFixed(1)} cy=${(middle - at(imaginary)).toFixed(1)} r="3" />`)}
    <text x=${SIZE - 4} y=${middle - 6} text-anchor="end">real</text><text x=${middle + 6} y="14">imaginary</text></svg>
    <${Save} name=${`eigenvalues ${name}`} rows=${() => [["real", "imaginary", "modulus"], ...point.eigenvalues.map(([real, imaginary]) => [real, imaginary, Math.hypot(real, imaginary)])]} /></section>`;
}

function Map2d({ name, found, chosen, choose }) {
  const all = [0, 1].map((axis) => [...found.around[axis], ...found.places.map((one) => one[axis])]), ends = all.map((one) => [Math.min(...one), Math.max(...one)]);
  const place = (axis, value) => { const [low, high] = ends[axis], share = (value - low) / (high - low || 1); return (EDGE + (axis ? 1 - share : share) * (SIZE - 2 * EDGE)).toFixed(1); };
  return html`<section><h3>Among the states of the data</h3><svg class="way" viewBox=${`0 0 ${SIZE} ${SIZE}`} role="img" aria-label="Fixed points among states of the data, in two dimensions">
    ${found.around[0].map((x, at) => html`<circle class="all" cx=${place(0, x)} cy=${place(1, found.around[1][at])} r="1.5" />`)}
    ${found.places.map(([x, y], at) => html`<circle class=${`dot line${found.points[at].kind === "stable" ? 0 : 1}`} cx=${place(0, x)} cy=${place(1, y)} r=${at === chosen ? 8 : 5} onClick=${() => choose(at)} />`)}</svg>
    <${Save} name=${`${name} points`} rows=${() => [["point", "x", "y"], ...found.places.map(([x, y], at) => [at + 1, x, y])]} /></section>`;
}

function Points({ name, run, query }) {
  const { answer } = useAnswer(`${run}/tracks`), work = useJob(`${run}/jobs/points`);
  const { answer: parts } = useAnswer(`${run}/parts`);
  const [asked, setAsked] = useState({ layer: Number(query.layer ?? 1), token: query.token ?? "" });
  const [chosen, setChosen] = useState(Number(query.point ?? 0));
  const track = answer?.tracks.find((one) => one.key === query.track) ?? answer?.tracks[0];
  const found = work.job?.result, layers = [...new Set(Object.keys(parts?.parts ?? {}).map((one) => one.split(".")[0]))];
  useEffect(() => { if (track && query.layer) history.replaceState(null, "", link("memory", name, { ...query, point: chosen })); }, [chosen]);
  if (!answer) return html`<${Waiting} />`;
  if (!track) return html`<section><h2>Where it would stand still</h2><p><a href=${link("states", name)}>Follow the network over some data first</a>: the search begins from its states.</p></section>`;
  const begin = (event) => {
    event.preventDefault();
    history.replaceState(null, "", link("memory", name, { ...query, track: track.key, layer: asked.layer, token: asked.token, point: 0 }));
    setChosen(0);
    work.start({ track: track.key, layer: asked.layer, token: asked.token || null });
  };
  const moment = (step) => html`<a href=${link("states", name, { track: work.job.about.track, series: `${found.layer}.h`, at: step, first: Math.max(0, step - 100), span: 200 })}>${number(step)}</a>`;
  const csv = () => [["point", "kind", "fixed", "q", "growing", "slowest steps", "share", "nearest step"], ...found.points.map((one, at) => [at + 1, one.kind, one.is_fixed, one.q, one.num_growing, one.slowest_steps, one.share, found.moments[at][0]])];
  return html`<section><h2>Where it would stand still</h2><p class="quiet">Fixed and slow points while it reads the same for ever (Sussillo and Barak 2013), searched from 48 states of ${number(track.num_steps)} steps (${track.data}).</p>
    <form class="row" onSubmit=${begin}>${layers.length > 1 && html`<label>Layer <select onChange=${(event) => setAsked({ ...asked, layer: Number(event.target.value) })}>${layers.map((one, at) => html`<option value=${at + 1} selected=${at + 1 === asked.layer}>${at + 1}</option>`)}</select></label>`}
      <label>reads <input class="short mono" value=${asked.token} placeholder="the mean" onInput=${(event) => setAsked({ ...asked, token: event.target.value })} /></label><button class="primary" disabled=${goesOn(work.job)}>Search</button></form>
    <${Progress} work=${work} following="Steps of the search" />
    ${found && (found.points.length === 0 ? html`<p role="status">${found.layer}, reading ${found.reads}: none of ${found.num_starts} states led to a point where it stays, or that it leaves slowly.</p>` : html`<p>${found.layer}, reading ${found.reads}: ${(100 * found.points.reduce((sum, one) => sum + one.share, 0)).toFixed(0)} % of the states led here, the others nowhere near in the steps of the search.</p>
      <div class="wide" tabindex="0" role="region" aria-label="Points"><table><thead><tr><th scope="col">point</th><th scope="col">kind</th><th scope="col" class="right">q</th><th scope="col" class="right">growing</th><th scope="col" class="right">steps to 1/e</th><th scope="col" class="right">of the states</th><th scope="col">moments near it</th></tr></thead>
      <tbody>${found.points.map((one, at) => html`<tr key=${at}><th scope="row"><button type="button" aria-pressed=${at === chosen} onClick=${() => setChosen(at)}>${at + 1}</button></th><td>${one.is_fixed ? "fixed" : "slow"}, ${one.kind}</td><td class="right">${one.q.toExponential(1)}</td>
        <td class="right">${one.num_growing} of ${one.eigenvalues.length}</td><td class="right">${one.slowest_steps === null ? "–" : number(one.slowest_steps)}</td><td class="right">${(100 * one.share).toFixed(0)} %</td><td>${found.moments[at].map((step, n) => html`${n ? ", " : ""}${moment(step)}`)}</td></tr>`)}</tbody></table></div>
      <${Save} name=${`${name} points`} canvas=${null} rows=${csv} /><div class="columns"><${Map2d} ...${{ name, found, chosen, choose: setChosen }} />${found.points[chosen] && html`<${Eigenvalues} name=${`point ${chosen + 1}`} point=${found.points[chosen]} />`}</div>`)}</section>`;
}

export function Memory({ name, query }) {
  const run = `/v1/runs/${encodeURIComponent(name)}`, work = useJob(`${run}/jobs/diagnosis`);
  const parts = work.kept ? [work.kept, ...(work.kept.parts ?? [])] : [], [wanted, setWanted] = useState(null);
  const pick = (lag, layer) => setWanted({ lag, layer });
  return html`<div><h1>Memory of ${name}</h1><${Tabs} name=${name} view="memory" />
    <p><button type="button" disabled=${goesOn(work.job)} onClick=${() => work.start()}>${work.kept ? "Measure again" : "Measure"}</button> <span class="quiet">gradients, exponents and the horizon on validation data: what <code>ostinato diagnose</code> writes</span></p>
    <${Progress} work=${work} reading="Measuring" />
    ${parts.map((part) => html`<div key=${part.name} class="columns">${part.name && html`<h2>${part.name}</h2>`}<${Gradients} ...${{ name, part }} pick=${part === parts[0] && pick} /><${Horizon} ...${{ name, part }} pick=${part === parts[0] && pick} /></div>${part.dynamics.length > 0 && html`<${Exponents} name=${name} part=${part} />`}`)}
    ${parts.length > 0 && html`<${Reaching} ...${{ name, run, query, wanted }} part=${parts[0]} />`}
    ${work.kept?.advice?.length > 0 && html`<section><h2>Advice</h2><ul>${work.kept.advice.map((one) => html`<li>${one.says} ${one.change && html`<code>${one.change}</code>`}</li>`)}</ul></section>`}
    <${Points} name=${name} run=${run} query=${query} /></div>`;
}
