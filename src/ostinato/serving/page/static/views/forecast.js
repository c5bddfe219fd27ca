// A forecast as a fan; where it begins can be dragged, and what came after is drawn beside it.

import { html, useEffect, useRef, useState } from "../html.js";
import { call } from "../api.js";
import { bare, number, Problem } from "../parts.js";
import { Plot } from "../plot.js";
import { Save } from "../saving.js";

const of = (value, at) => (Array.isArray(value) ? value[at] : value);

// Which steps of what is given are drawn: enough to see, from some time before the fan begins.
function Fan({ given, origin, found, name, at, onMark, marked }) {
  const first = Math.max(0, origin - Math.max(48, 4 * found.values.length));
  const shown = given.map((value, step) => [step, of(value, at)]).slice(first, origin + 2 * found.values.length);
  const joint = origin ? [[origin - 1, of(given[origin - 1], at)]] : [];
  const ahead = [...joint, ...found.values.map((value, step) => [origin + step, of(value, at)])];
  const levels = Object.entries(found.details?.quantiles ?? {}).sort((one, other) => one[0] - other[0]);
  const bands = [];
  for (let pair = 0; pair < Math.floor(levels.length / 2); pair += 1) {
    const [low, lows] = levels[pair], [high, highs] = levels.at(-1 - pair);
    bands.push({ name: `${low} to ${high}`, points: [...joint.map(([step, value]) => [step, value, value]),
      ...found.values.map((_, step) => [origin + step, of(lows[step], at), of(highs[step], at)])] });
  }
  const rows = () => [["step", "given", "forecast", ...levels.map(([level]) => level)], ...found.values.map((value, step) =>
    [origin + step, of(given[origin + step] ?? null, at), of(value, at), ...levels.map(([, values]) => of(values[step], at))])];
  return html`<section><${Plot} title=${name} bands=${bands} mark=${marked ? origin - 1 : undefined} onMark=${onMark}
    lines=${[{ name: "given", points: shown }, { name: "forecast", points: ahead }]} /><${Save} name=${`forecast-${name}`} rows=${rows} /></section>`;
}

export function Forecast({ model, row, column, found: whole, query, go }) {
  const given = Array.isArray(row[column]) ? row[column] : [], horizon = whole.values.length;
  const [origin, setOrigin] = useState(Math.min(Number(query.origin) || given.length, given.length));
  const [state, setState] = useState({ found: whole, at: given.length });
  const busy = useRef(0);
  useEffect(() => {
    if (origin === given.length) { setState({ found: whole, at: origin }); return undefined; }
    const mine = ++busy.current;
    const timer = setTimeout(() => call(`/v1/models/${encodeURIComponent(model)}/predict`, { body: { rows: [bare({ ...row, [column]: given.slice(0, origin) })] } })
      .then(({ predictions }) => mine === busy.current && setState({ found: predictions[0], at: origin }),
        (error) => mine === busy.current && setState((before) => ({ ...before, error }))), 60);
    return () => clearTimeout(timer);
  }, [origin]);
  const move = (to) => { const there = Math.min(given.length, Math.max(1, to)); setOrigin(there); go({ origin: there === given.length ? "" : there }); };
  const { found, at } = state, channels = found.details?.channels ?? ["value"];
  const missed = found.values.slice(0, given.length - at).map((value, step) => channels.map((_, channel) => Math.abs(of(value, channel) - of(given[at + step], channel)))).flat();
  return html`<div>${given.length > horizon && html`<p><label for="origin">Forecast from step</label> <input id="origin" type="range" class="long" min="1" max=${given.length} value=${origin}
      onInput=${(event) => move(Number(event.target.value))} /> <output for="origin">${number(origin)} of ${number(given.length)}</output>
      <span class="quiet"> or drag the line${missed.length ? `; off by ${number(missed.reduce((sum, one) => sum + one, 0) / missed.length)} on average` : ""}</span></p>`}
    ${state.error && html`<${Problem} error=${state.error} />`}
    ${channels.map((name, channel) => html`<${Fan} key=${name} given=${given} origin=${at} found=${found} name=${name} at=${channel} marked=${given.length > horizon}
      onMark=${given.length > horizon ? (step) => move(step + 1) : undefined} />`)}
    <p class="quiet">${found.values.map((value) => [value].flat().map(number).join("/")).join(", ")}</p></div>`;
}
