// What several views are made of.

import { html, useState } from "./html.js";
import { keepToken } from "./api.js";

export const number = (value) => {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(4)).toString();
};

export const figure = (one) => html`${number(one.value)}${one.interval
  && html` <span class="quiet nowrap">[${one.interval.map(number).join(", ")}]</span>`}`;

export const when = (text) => (text ? text.slice(0, 16).replace("T", " ") : "");

export const link = (view, name, query) => {
  const words = new URLSearchParams(query ?? {}).toString();
  return `#/${view}/${encodeURIComponent(name)}${words ? `?${words}` : ""}`;
};

// A row as `predict` takes it: where there is one column, its cell.
export const bare = (row) => (Object.keys(row).length === 1 ? Object.values(row)[0] : row);

export function Problem({ error }) {
  const [given, setGiven] = useState("");
  const enter = (event) => { event.preventDefault(); keepToken(given); location.reload(); };
  return html`<div class="problem" role="alert"><p><strong>${error.message}</strong> ${error.detail !== error.message && error.detail}</p>
    ${error.hint && html`<p class="quiet">${error.hint}</p>`}
    ${error.status === 401 && html`<p class="quiet">Open the address that <code>ostinato ui</code> has printed, or give its token.</p><form onSubmit=${enter}><label>Token
      <input type="password" value=${given} onInput=${(event) => setGiven(event.target.value)} /></label>
      <button>Use it</button></form>`}</div>`;
}

export const Waiting = ({ children }) => html`<p class="quiet" role="status">${children ?? "Loading…"}</p>`;

// Shares of one, the largest first.
export function Bars({ shares }) {
  const sorted = Object.entries(shares).sort((one, other) => other[1] - one[1]).slice(0, 12);
  return html`<table class="bars"><thead class="unseen"><tr><th scope="col">answer</th><th scope="col">probability</th>
    </tr></thead><tbody>${sorted.map(([name, share]) => html`<tr key=${name}><th scope="row">${name}</th>
    <td><span class="bar" style=${{ width: `${Math.round(70 * share)}%` }}></span>
    <span class="value">${(100 * share).toFixed(1)} %</span></td></tr>`)}</tbody></table>`;
}

export function Tabs({ name, view, run }) {
  const item = (target, text) => html`<a href=${link(target, name)} aria-current=${view === target ? "page" : null}>
    ${text}</a>`;
  return html`<nav class="tabs" aria-label=${`Views of ${name}`}>${item("run", "Run")}
    ${(run?.served ?? true) && [item("try", "Try it"), item("inside", "Look inside"), item("states", "States"), item("intervene", "Intervene"), item("memory", "Memory")]}</nav>`;
}
