// A track on a canvas: time along x, units along y, surprise above. Drag, wheel, pinch and keys move it; all of it is in the address.

import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { link, number, Problem } from "../parts.js";
import { Plot, ticks } from "../plot.js";
import { Save } from "../saving.js";
import { Tiles } from "../tiles.js";
import { Moment } from "./moment.js";
import { Order } from "./order.js";
import { Told } from "./told.js";

const ABOVE = 62, BELOW = 40, LEAST = 24;
const size = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;  // letters are larger on wide screens
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function surpriseLine(context, line, first, span, width) {
  const top = Math.max(...line.high.filter((one) => one !== null), 0.1);
  const x = (at) => ((line.first + (at + 0.5) * line.step - first) / span) * width, y = (value) => ABOVE - 6 - (value / top) * (ABOVE - 24);
  const path = (values) => {
    context.beginPath();
    let pen = false;
    values.forEach((value, at) => { if (value === null) { pen = false; return; } if (pen) context.lineTo(x(at), y(value)); else context.moveTo(x(at), y(value)); pen = true; });
    context.stroke();
  };
  context.lineWidth = 1;
  if (line.step > 1) {
    context.strokeStyle = colour("--edge"); path(line.high);
  }
  context.strokeStyle = colour("--accent"); path(line.mean);
  context.fillStyle = colour("--quiet");
  context.fillText(`surprise, nats (up to ${number(top)})`, 4, 11);
}

function marks(context, view, tokens, width, height) {
  const { first, span } = view, each = width / span;
  context.fillStyle = colour("--quiet");
  context.textAlign = "center";
  if (each >= 7 && tokens) tokens.tokens.forEach((token, at) => {
    const x = (tokens.first + at + 0.5 - first) * each;
    if (x < 0 || x > width) return;
    const wide = token.replaceAll("\n", "⏎").replaceAll(" ", "·");
    context.fillText(wide.length * 7 > each ? wide.slice(0, Math.max(1, Math.floor(each / 7))) : wide, x, height - 24);
  });
  for (const at of ticks(first, first + span, Math.max(2, Math.floor(width / 130)), 1)) {
    const x = Math.min(Math.max(((at - first) / span) * width, 24), width - 34);
    context.fillText(at.toLocaleString("en"), x, height - 6);
  }
  context.textAlign = "left";
}

export function Explorer({ name, track, query, isText }) {
  const base = `/v1/runs/${encodeURIComponent(name)}/tracks/${track.key}`, total = track.num_steps;
  const names = Object.keys(track.series).filter((one) => one !== "surprise");
  const [shown, setShown] = useState({ series: names.includes(query.series) ? query.series : names[0], kind: query.kind ?? "mean", scale: query.scale ?? "own", by: query.by ?? "unit" });
  const units = track.series[shown.series].units;
  const [at, setAt] = useState(Math.min(Number(query.at ?? 0), total - 1));
  const [unit, setUnit] = useState(Math.min(Number(query.unit ?? 0), units - 1));
  const span0 = Math.min(Math.max(Number(query.span ?? Math.min(total, 1200)), Math.min(LEAST, total)), total);
  const [view, setView] = useState({ first: Math.min(Math.max(Number(query.first ?? 0), 0), total - span0), span: span0 });
  const [error, setError] = useState(null);
  const [line, setLine] = useState(null);
  const [cost, setCost] = useState(null);
  const [tokens, setTokens] = useState(null);
  const canvas = useRef(null), box = useRef(null), now = useRef(null), pointers = useRef(new Map());
  const sought = useRef(false);
  const { answer: order, error: wrong } = useAnswer(shown.by === "unit" ? null : `${base}/order?${new URLSearchParams({ series: shown.series, by: shown.by })}`);
  const rows = order?.units ?? null;
  useEffect(() => { if (rows && sought.current) setUnit(rows[0]); sought.current = false; }, [rows]);
  const tiles = useMemo(() => new Tiles(base, total, () => requestAnimationFrame(draw), setError), [base]);
  tiles.look(shown.series, units, shown.kind, shown.scale, rows);
  const height = ABOVE + Math.min(Math.max(units * 2, 160), 420) + BELOW;
  now.current = { view, at, unit, cost, tokens, rows, units, height };

  function draw() {
    const drawn = canvas.current;
    if (!drawn) return;
    const { view: { first, span }, ...rest } = now.current, larger = size(), scale = (devicePixelRatio || 1) * larger, width = box.current.clientWidth / larger;
    const grid = rest.height - ABOVE - BELOW;
    if (drawn.width !== Math.round(width * scale) || drawn.height !== Math.round(rest.height * scale)) {
      [drawn.width, drawn.height] = [Math.round(width * scale), Math.round(rest.height * scale)];
      drawn.style.height = `${rest.height * larger}px`;
    }
    const context = drawn.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = colour("--ground");
    context.fillRect(0, 0, width, rest.height);
    context.font = "12px system-ui, sans-serif";
    const whole = tiles.draw(context, first, span, width, ABOVE, grid);
    if (rest.cost) surpriseLine(context, rest.cost, first, span, width);
    marks(context, { first, span }, rest.tokens, width, rest.height);
    const x = ((rest.at + 0.5 - first) / span) * width, place = rest.rows ? rest.rows.indexOf(rest.unit) : rest.unit;
    context.strokeStyle = colour("--text"); context.lineWidth = 1.5;
    context.strokeRect(x - Math.max(width / span, 3) / 2, ABOVE - 4, Math.max(width / span, 3), grid + 8);
    context.fillStyle = colour("--text");
    const y = ABOVE + ((place + 0.5) / rest.units) * grid;
    for (const [edge, out] of [[0, 7], [width, width - 7]]) { context.beginPath(); context.moveTo(edge, y - 5); context.lineTo(out, y); context.lineTo(edge, y + 5); context.fill(); }
    drawn.dataset.drawn = whole ? `${first}/${span}` : "";
  }
  useEffect(draw);
  useEffect(() => {
    const watch = new ResizeObserver(() => requestAnimationFrame(draw)), dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = () => { tiles.recolour(); draw(); };
    watch.observe(box.current);
    dark.addEventListener("change", recolour);
    return () => { watch.disconnect(); dark.removeEventListener("change", recolour); };
  }, [tiles]);

  const words = { track: track.key, ...shown, unit, at, first: Math.round(view.first), span: Math.round(view.span) };
  const address = link("states", name, words);
  useEffect(() => {  // once it rests: the address, and the lines
    const rest = setTimeout(() => {
      history.replaceState(null, "", address);
      const span = { first: Math.max(0, Math.floor(view.first)), last: Math.min(total, Math.ceil(view.first + view.span)) };
      const ask = (what, more) => call(`${base}/${what}?${new URLSearchParams({ ...span, ...more })}`);
      if (track.series.surprise) ask("line", { series: "surprise", columns: 1000 }).then(setCost, setError);
      ask("line", { series: shown.series, unit, columns: 600 }).then((found) => setLine({ ...found, series: shown.series, unit }), setError);
      if (box.current && box.current.clientWidth / view.span >= 7) ask("tokens", {}).then(setTokens, setError);
    }, 120);
    return () => clearTimeout(rest);
  }, [address]);

  const clamp = (first, span) => {
    const wide = Math.min(Math.max(span, Math.min(LEAST, total)), total);
    return { first: Math.min(Math.max(first, 0), total - wide), span: wide };
  };
  const pan = (steps) => setView(({ first, span }) => clamp(first + steps, span));
  const zoom = (factor, share = 0.5) => setView(({ first, span }) => {
    const wide = clamp(0, span * factor).span;
    return clamp(first + (span - wide) * share, wide);
  });
  const go = (step) => {
    const to = Math.min(Math.max(Math.round(step), 0), total - 1);
    setAt(to);
    setView(({ first, span }) => (to < first || to >= first + span ? clamp(to - span / 2, span) : { first, span }));
  };
  const choose = (by) => {
    const listed = rows ?? [...Array(units).keys()];
    setUnit(listed[Math.min(Math.max(listed.indexOf(unit) + by, 0), units - 1)]);
  };
  const keys = (event) => {
    const column = Math.max(1, view.span / (box.current?.clientWidth ?? 1000)), step = event.shiftKey ? view.span / 10 : column;
    const does = { ArrowLeft: () => go(at - step), ArrowRight: () => go(at + step), ArrowUp: () => choose(event.shiftKey ? -10 : -1),
      ArrowDown: () => choose(event.shiftKey ? 10 : 1), PageUp: () => pan(-view.span * 0.9), PageDown: () => pan(view.span * 0.9),
      Home: () => go(0), End: () => go(total - 1), "+": () => zoom(0.5, (at - view.first) / view.span), "=": () => zoom(0.5, (at - view.first) / view.span), "-": () => zoom(2) }[event.key];
    if (does && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); does(); }
  };
  const spot = (event) => {
    const edge = canvas.current.getBoundingClientRect();
    return { share: (event.clientX - edge.left) / edge.width, y: (event.clientY - edge.top) / size() };
  };
  const down = (event) => { canvas.current.setPointerCapture(event.pointerId); pointers.current.set(event.pointerId, { x: event.clientX, moved: 0 }); };
  const move = (event) => {
    const held = pointers.current.get(event.pointerId);
    if (!held) return;
    const by = event.clientX - held.x, width = box.current.clientWidth;
    if (pointers.current.size === 1) pan((-by / width) * view.span);
    else {
      const other = [...pointers.current].find(([id]) => id !== event.pointerId)[1];
      const before = Math.max(Math.abs(held.x - other.x), 20), after = Math.max(Math.abs(event.clientX - other.x), 20);
      zoom(before / after, (other.x - canvas.current.getBoundingClientRect().left) / width);
    }
    Object.assign(held, { x: event.clientX, moved: held.moved + Math.abs(by) });
  };
  const up = (event) => {
    const held = pointers.current.get(event.pointerId);
    pointers.current.delete(event.pointerId);
    if (!held || held.moved > 4 || event.type !== "pointerup") return;
    const { share, y } = spot(event), row = Math.floor(((y - ABOVE) / (height - ABOVE - BELOW)) * units);
    setAt(Math.min(Math.max(Math.floor(view.first + share * view.span), 0), total - 1));
    if (row >= 0 && row < units) setUnit(rows ? rows[row] : row);
  };
  useEffect(() => {  // Preact's listeners are passive
    const wheel = (event) => {
      if (event.deltaX) { event.preventDefault(); pan((event.deltaX / box.current.clientWidth) * now.current.view.span); }
      else if (event.ctrlKey || document.activeElement === canvas.current) { event.preventDefault(); zoom(1.0015 ** event.deltaY, spot(event).share); }
    };
    canvas.current.addEventListener("wheel", wheel, { passive: false });
    return () => canvas.current?.removeEventListener("wheel", wheel);
  }, []);

  const set = (key) => (event) => setShown({ ...shown, [key]: event.target.value });
  const asks = !["unit", "constant", "cluster"].includes(shown.by);
  const said = `${shown.series}[${unit}]`, value = line && line.series === shown.series && line.unit === unit ? line : null;
  const csv = () => [["step", "least", "largest", "mean"], ...(value?.mean ?? []).map((one, n) => [value.first + n * value.step, value.low[n], value.high[n], one])];
  return html`<section class="explorer" aria-label="States over time"><div class="row">
      <label>Part <select onChange=${(event) => { setShown({ ...shown, series: event.target.value }); setUnit(Math.min(unit, track.series[event.target.value].units - 1)); }}>
        ${names.map((one) => html`<option key=${one} value=${one} selected=${one === shown.series}>${one}</option>`)}</select></label>
      <label>Of many steps <select onChange=${set("kind")}>${[["mean", "the mean"], ["low", "the least"], ["high", "the largest"]].map(([key, text]) => html`<option value=${key} selected=${key === shown.kind}>${text}</option>`)}</select></label>
      <label>Colours <select onChange=${set("scale")}><option value="own" selected=${shown.scale === "own"}>each unit's own</option><option value="shared" selected=${shown.scale === "shared"}>one for all</option></select></label>
      <${Order} by=${shown.by} waiting=${shown.by !== "unit" && !order && !wrong} change=${(by) => { sought.current = by !== "unit"; setShown({ ...shown, by }); }} /></div>
    ${(error ?? wrong) && html`<${Problem} error=${error ?? wrong} />`}
    <div ref=${box} class="states"><canvas ref=${canvas} tabindex="0" role="slider" aria-label="Step, over the states of the network" aria-valuemin="0" aria-valuemax=${total - 1} aria-valuenow=${at}
      aria-valuetext=${`step ${number(at)}, unit ${unit}; ${number(Math.round(view.span))} steps shown from ${number(Math.round(view.first))} on`} aria-describedby="keys"
      onKeyDown=${keys} onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}></canvas></div>
    <div class="row"><label class="scrub">Position <input type="range" min="0" max=${Math.max(total - Math.round(view.span), 1)} value=${Math.round(view.first)} onInput=${(event) => setView(clamp(Number(event.target.value), view.span))} /></label>
      <button type="button" onClick=${() => zoom(0.5)} aria-label="Zoom in">+</button><button type="button" onClick=${() => zoom(2)} aria-label="Zoom out">−</button>
      <button type="button" onClick=${() => setView({ first: 0, span: total })}>All</button>
      <label>Step <input class="wider" type="number" min="0" max=${total - 1} value=${at} onChange=${(event) => go(Number(event.target.value))} /></label>
      <label>Unit <input type="number" min="0" max=${units - 1} value=${unit} onChange=${(event) => setUnit(Math.min(Math.max(Number(event.target.value), 0), units - 1))} /></label></div>
    <p class="quiet" id="keys">Drag or pinch; arrows choose a step and a unit, + and − zoom, Page Up and Down move on. ${order && shown.by !== "unit" && shown.by !== "cluster" && order.values.length > 0 && rows.includes(unit) && `${said}: ${shown.by === "constant" ? `${number(order.values[rows.indexOf(unit)])} steps until its autocorrelation falls to 1/e` : `r = ${number(order.values[rows.indexOf(unit)])}`}.`}
      ${order && shown.by === "cluster" && `${said}: cluster ${order.values[rows.indexOf(unit)]} of ${Math.max(...order.values)}.`}</p>
    <${Save} name=${`${name} ${shown.series}`} canvas=${true} /><p><a href=${link("intervene", name, { edits: `${said} = 0` })}>Change ${said}</a> <span class="quiet">and read what is written then</span></p></section>
    ${asks && html`<${Told} base=${base} name=${name} question=${shown.by} choose=${(one) => { setShown({ ...shown, series: one.series }); setUnit(one.unit); }} />`}
    ${value && html`<section><${Plot} title=${said} bands=${value.step > 1 ? [{ name: "least to largest", points: value.mean.map((_, n) => [value.first + n * value.step, value.low[n], value.high[n]]) }] : []}
      lines=${[{ name: value.step > 1 ? `mean of ${number(value.step)} steps` : said, points: value.mean.map((one, n) => [value.first + n * value.step, one]) }]} />
      <${Save} name=${`${name} ${said}`} rows=${csv} /></section>`}
    <${Moment} base=${base} name=${name} at=${at} go=${go} address=${words} isText=${isText} />`;
}
