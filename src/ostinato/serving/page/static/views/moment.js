// The chosen step: what stands around it, where else the state was like that, and the way of the state in two dimensions.

import { html, useEffect, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { link, number, Problem, Waiting } from "../parts.js";
import { Save } from "../saving.js";

const visible = (text) => text.replaceAll("\n", "⏎");

function Nearest({ base, name, at, go, address }) {
  const [asked, setAsked] = useState(null);
  const { answer, error, waiting } = useAnswer(asked === null ? null : `${base}/nearest?at=${asked}`);
  const csv = () => [["step", "distance", "around"], ...answer.moments.map((one) => [one.step, one.distance, one.around])];
  return html`<section><h2>Where else was the state like this?</h2>
    <p><button type="button" onClick=${() => setAsked(at)}>Search all steps</button></p>
    ${waiting && html`<${Waiting}>Comparing all steps…<//>`}${error && html`<${Problem} error=${error} />`}
    ${answer && html`<div class="wide" tabindex="0" role="region" aria-label="Moments like it"><table><caption class="quiet">like step ${number(answer.at)}; distance in deviations of each unit</caption><thead><tr><th scope="col" class="right">step</th>
      <th scope="col" class="right">distance</th><th scope="col">around it</th></tr></thead><tbody>${answer.moments.map((one) => html`<tr key=${one.step}>
      <th scope="row" class="right"><a href=${link("states", name, { ...address, at: one.step })} onClick=${(event) => { event.preventDefault(); go(one.step); }}>${number(one.step)}</a></th>
      <td class="right">${one.distance.toFixed(3)}</td><td class="around">${visible(one.around)}</td></tr>`)}</tbody></table></div><${Save} name=${`${name} like ${answer.at}`} canvas=${null} rows=${csv} />`}</section>`;
}

// The steps before it, on a ground of what reading each did to the surprise at it.
function Attributed({ base, name, at }) {
  const [asked, setAsked] = useState(null);
  const [method, setMethod] = useState("integrated");
  const { answer, error, waiting } = useAnswer(asked && `${base}/attribution?${new URLSearchParams(asked)}`);
  const { answer: told } = useAnswer(answer ? `${base}/tokens?first=${answer.first}&last=${answer.at + 1}` : null);
  const top = answer ? Math.max(...answer.values.map(Math.abs), 1e-12) : 1;
  const csv = () => [["step", "token", "nats"], ...answer.values.map((value, n) => [answer.first + n, told?.tokens[n], value])];
  return html`<section><h2>What its surprise came from</h2><div class="row"><label>By <select onChange=${(event) => setMethod(event.target.value)}><option value="integrated">integrated gradients</option><option value="gradient">gradient × input</option></select></label>
      <button type="button" onClick=${() => setAsked({ at, method })}>Find out</button></div>
    ${waiting && html`<${Waiting}>Going back in time…<//>`}${error && html`<${Problem} error=${error} />`}
    ${answer && told && html`<p class="quiet">Of step ${number(answer.at)}, ${number(answer.loss)} nats; reading <span class="up" style=${{ "--share": 1 }}>these</span> made it larger, <span class="down" style=${{ "--share": 1 }}>these</span> smaller${asked.method === "integrated" ? `; with nothing read, ${number(answer.without)} nats` : ""}.</p>
      <p class="coloured" tabindex="0" role="region" aria-label="The steps before it, coloured by what they did">${answer.values.map((value, n) => html`<span class=${value > 0 ? "up" : "down"} style=${{ "--share": (Math.abs(value) / top).toFixed(2) }} title=${`step ${answer.first + n}: ${value.toFixed(4)} nats`}>${visible(told.tokens[n])}</span>`)}<strong>${visible(told.tokens.at(-1) ?? "")}</strong></p>
      <${Save} name=${`${name} attribution of ${answer.at}`} canvas=${null} rows=${csv} />`}</section>`;
}

const SIZE = 420, EDGE = 16;

function Path({ base, name, address, go }) {
  const [asked, setAsked] = useState(null);
  const { answer, error, waiting } = useAnswer(asked && `${base}/path?${new URLSearchParams(asked)}`);
  const show = () => setAsked({ first: address.first, last: address.first + Math.min(address.span, 2000) });
  const ends = answer && [0, 1].map((axis) => [Math.min(...answer.all[axis], ...answer.span[axis]), Math.max(...answer.all[axis], ...answer.span[axis])]);
  const place = (axis, value) => { const [low, high] = ends[axis]; return (axis ? SIZE - EDGE : EDGE) + (axis ? -1 : 1) * ((value - low) / (high - low || 1)) * (SIZE - 2 * EDGE); };
  const points = answer && answer.span[0].map((x, n) => [place(0, x), place(1, answer.span[1][n])]);
  const near = (event) => {
    const edge = event.currentTarget.getBoundingClientRect(), at = [((event.clientX - edge.left) / edge.width) * SIZE, ((event.clientY - edge.top) / edge.height) * SIZE];
    const all = [...points.map((one, n) => [one, answer.first + n * answer.step]), ...answer.all[0].map((x, n) => [[place(0, x), place(1, answer.all[1][n])], n * answer.every])];
    const apart = ([x, y]) => Math.hypot(x - at[0], y - at[1]);
    go(all.reduce((best, one) => (apart(one[0]) < apart(best[0]) ? one : best))[1]);
  };
  const csv = () => [["step", "first direction", "second direction"], ...answer.span[0].map((x, n) => [answer.first + n * answer.step, x, answer.span[1][n]])];
  return html`<section><h2>The way of the state</h2><p><button type="button" onClick=${show}>Draw the steps shown</button> <span class="quiet">in the two directions of largest variance; choose a point to see its step</span></p>
    ${waiting && html`<${Waiting}>Finding the directions…<//>`}${error && html`<${Problem} error=${error} />`}
    ${answer && html`<svg class="way" viewBox=${`0 0 ${SIZE} ${SIZE}`} role="img" aria-label=${`The state from step ${answer.first} on, before some of all states`} onClick=${near}>
      ${answer.all[0].map((x, n) => html`<circle class="all" cx=${place(0, x).toFixed(1)} cy=${place(1, answer.all[1][n]).toFixed(1)} r="1.4" />`)}
      <path class="line line0" d=${points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("")} />
      <circle class="dot line1" cx=${points[0][0]} cy=${points[0][1]} r="5" /></svg><${Save} name=${`${name} way`} rows=${csv} />`}</section>`;
}

export function Moment({ base, name, at, go, address }) {
  const [state, setState] = useState({});
  useEffect(() => {
    const rest = setTimeout(() => call(`${base}/step?at=${at}`).then((found) => setState({ found }), (error) => setState({ error })), 120);
    return () => clearTimeout(rest);
  }, [base, at]);
  const { found, error } = state;
  const part = found?.values[address.series];
  return html`<section><h2>Step ${number(at)}</h2>${error && html`<${Problem} error=${error} />`}
    ${found && html`<p class="around">${visible(found.around)}</p><p>${found.surprise !== null && `Surprise ${number(found.surprise)} nats; `}row ${number(found.row)};
      ${part && ` ${address.series}[${address.unit}] = ${number(part[address.unit])}`}</p>`}</section>
    ${found && found.surprise !== null && html`<${Attributed} ...${{ base, name, at }} />`}
    <div class="columns"><${Nearest} ...${{ base, name, at, go, address }} /><${Path} ...${{ base, name, address, go }} /></div>`;
}
