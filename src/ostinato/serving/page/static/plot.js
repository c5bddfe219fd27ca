// Lines over numbers, as inline SVG: series are [{name, points: [[x, y], …], kind?}], bands [{name, points: [[x, low, high], …]}].

import { html } from "./html.js";
import { number } from "./parts.js";

const WIDTH = 640, HEIGHT = 260, LEFT = 64, RIGHT = 12, TOP = 10, BOTTOM = 48;

export function ticks(low, high, count, least = 0) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= Math.max(rough, least)) ?? least;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

const range = (values) => {
  let low = Infinity, high = -Infinity;
  for (const one of values) { if (one < low) low = one; if (one > high) high = one; }
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
};

// `mark`: an upright line at so many steps, which a pointer drags: `onMark` is told where to. `onPick`: told which point
// of which line was chosen, by its place and name.
export function Plot({ title, lines = [], bands = [], x = "step", mark, onMark, onPick }) {
  const there = lines.map((one) => ({ ...one, points: one.points.filter(([, y]) => y !== null && Number.isFinite(y)) }))
    .filter((one) => one.points.length);
  if (!there.length) return html`<p class="quiet">Nothing to draw yet.</p>`;
  const across = [...there.flatMap((one) => one.points.map((at) => at[0])), ...bands.flatMap((one) => one.points.map((at) => at[0]))];
  const along = [...there.flatMap((one) => one.points.map((at) => at[1])), ...bands.flatMap((one) => one.points.flatMap((at) => at.slice(1)))];
  const [x0, x1] = range(across), [y0, y1] = range(along);
  const px = (value) => (LEFT + ((value - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const py = (value) => (HEIGHT - BOTTOM - ((value - y0) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM)).toFixed(1);
  const path = (points) => points.map(([a, b], at) => `${at ? "L" : "M"}${px(a)} ${py(b)}`).join("");
  const area = (points) => `${path(points.map(([a, low]) => [a, low]))}L${
    [...points].reverse().map(([a, , high]) => `${px(a)} ${py(high)}`).join("L")}Z`;
  const said = there.map((one) => `${one.name}: ${number(one.points[0][1])} to ${number(one.points.at(-1)[1])}`).join("; ");
  const told = (event) => {
    if (event.type === "pointerdown") event.currentTarget.setPointerCapture(event.pointerId);
    if (!event.buttons) return;
    const box = event.currentTarget.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    onMark(Math.round(x0 + Math.min(1, Math.max(0, at)) * (x1 - x0)));
  };
  const picked = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
    const all = there.flatMap((one) => one.points.map((point) => [one, point, Math.hypot(px(point[0]) - at[0], (py(point[1]) - at[1]) / 4)]));
    const [line, point] = all.reduce((best, one) => (one[2] < best[2] ? one : best));
    onPick(point[0], line.name);
  };
  return html`<figure class=${onMark ? "plot dragged" : onPick ? "plot picked" : "plot"}><figcaption>${title}<span class="legend">${[...bands, ...there].map((one, at) =>
    html`<span key=${one.name}><span class=${`swatch ${one.points[0].length > 2 ? "band" : `line${at - bands.length}`}`}></span>${one.name}</span>`)}</span></figcaption>
  <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`${title}. ${said}`} onPointerDown=${onMark && told} onPointerMove=${onMark && told} onClick=${onPick && picked}>
    ${mark !== undefined && html`<line class="mark" x1=${px(mark)} x2=${px(mark)} y1=${TOP} y2=${HEIGHT - BOTTOM} />`}
    ${ticks(y0, y1, 4).map((at) => html`<g><line class="grid" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${py(at)} y2=${py(at)} />
      <text x=${LEFT - 8} y=${py(at)} dy="0.32em" text-anchor="end">${number(at)}</text></g>`)}
    ${ticks(x0, x1, 6, x === "step" ? 1 : 0).map((at) => html`<text x=${px(at)} y=${HEIGHT - 28} text-anchor=${px(at) > WIDTH - 40 ? "end" : "middle"}>${number(at)}</text>`)}
    <text class="axis" x=${WIDTH - RIGHT} y=${HEIGHT - 6} text-anchor="end">${x}</text>
    ${bands.map((one) => html`<path class="band" d=${area(one.points)} />`)}
    ${there.map((one, at) => html`<path class=${`line line${at}`} d=${path(one.points)} />
      ${one.points.length < 40 && one.points.map(([a, b]) => html`<circle class=${`dot line${at}`} cx=${px(a)} cy=${py(b)} r="2.5" />`)}`)}
  </svg></figure>`;
}
