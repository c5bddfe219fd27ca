// Which words an answer came from: each is left out once, and what that changes is what it is worth (occlusion).

import { html, useEffect, useState } from "../html.js";
import { call } from "../api.js";
import { bare, number, Problem, Waiting } from "../parts.js";
import { Save } from "../saving.js";

const MOST = 300;

// Pieces of a text and the blanks between them; a single word is cut into its letters.
export function pieces(text) {
  const words = text.split(/(\s+)/).filter(Boolean);
  return words.filter((one) => one.trim()).length > 1 ? words : [...text];
}

const scored = (found, label) => (found.probabilities && !Array.isArray(found.probabilities) ? found.probabilities[label] : typeof found.value === "number" ? found.value : null);
export const explains = (found) => scored(found, found.label) !== null && scored(found, found.label) !== undefined;

export function Attribution({ model, column, row, found }) {
  const [state, setState] = useState({});
  const cut = pieces(row[column]), { label } = found;
  const counted = cut.map((one, at) => (one.trim() ? at : -1)).filter((at) => at >= 0).slice(0, MOST);
  useEffect(() => {
    let current = true;
    const rows = counted.map((at) => bare({ ...row, [column]: cut.filter((_, other) => other !== at).join("") || " " }));
    call(`/v1/models/${encodeURIComponent(model)}/predict`, { body: { rows } }).then(({ predictions }) => {
      if (!current) return;
      const whole = scored(found, label);
      setState({ worth: new Map(counted.map((at, n) => [at, whole - (scored(predictions[n], label) ?? 0)])) });
    }, (error) => current && setState({ error }));
    return () => { current = false; };
  }, [row[column], label]);
  if (state.error) return html`<${Problem} error=${state.error} />`;
  if (!state.worth) return html`<${Waiting}>Leaving out each word once…<//>`;
  const most = Math.max(1e-9, ...[...state.worth.values()].map(Math.abs));
  const said = found.probabilities ? `the probability of ${label}` : "the answer";
  const first = [...state.worth].sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, 8);
  return html`<section><h2>What it came from <span class="quiet">each word left out once</span></h2>
    <p class="coloured" tabindex="0" role="region" aria-label="The text, coloured by what each word is worth">${cut.map((one, at) => {
      const worth = state.worth.get(at);
      return worth === undefined ? one : html`<span class=${worth > 0 ? "up" : "down"} style=${{ "--share": (Math.abs(worth) / most).toFixed(2) }}
        title=${`${worth > 0 ? "+" : ""}${number(worth)}`}>${one}</span>`;
    })}</p>
    <p class="quiet"><span class="up" style=${{ "--share": 1 }}>Orange</span> raises ${said}, <span class="down" style=${{ "--share": 1 }}>blue</span> lowers it${
      cut.length > MOST ? `; the first ${MOST} words` : ""}.</p>
    <table><thead><tr><th scope="col">word</th><th scope="col" class="right">worth</th></tr></thead><tbody>${first.map(([at, worth]) => html`<tr key=${at}>
      <th scope="row">${cut[at]}</th><td class="right">${worth > 0 ? "+" : ""}${number(worth)}</td></tr>`)}</tbody></table>
    <${Save} name="attribution" canvas=${null} rows=${() => [["position", "word", "worth"], ...[...state.worth].map(([at, worth]) => [at, cut[at], worth])]} /></section>`;
}
