// Draw a curve with a pointer; with a keyboard its numbers are typed into the field beside it.

import { html, useRef } from "../html.js";

const WIDTH = 640, HEIGHT = 180;

export function Draw({ values, onDraw, count = 48 }) {
  const pad = useRef(null), last = useRef(null);
  const there = values?.length > 1 && values.every(Number.isFinite) ? values : Array(count).fill(0);
  const range = useRef(null), held = useRef(false);
  if (!held.current) {  // while a pointer draws, the ground stays
    const low = Math.min(...there), high = Math.max(...there);
    range.current = low === high ? [low - 1, high + 1] : [low - 0.1 * (high - low), high + 0.1 * (high - low)];
  }
  const [low, high] = range.current;
  const draw = (event) => {
    held.current = event.buttons > 0;
    if (event.type === "pointerdown") { pad.current.setPointerCapture(event.pointerId); last.current = null; }
    if (!event.buttons) return;
    event.preventDefault();
    const box = pad.current.getBoundingClientRect();
    const at = Math.min(there.length - 1, Math.max(0, Math.round((event.clientX - box.left) / box.width * (there.length - 1))));
    const value = Number((high - Math.min(1, Math.max(0, (event.clientY - box.top) / box.height)) * (high - low)).toPrecision(4));
    const now = [...there], [from, was] = last.current ?? [at, value];
    for (let step = Math.min(from, at); step <= Math.max(from, at); step += 1) now[step] = from === at ? value : Number((was + (value - was) * (step - from) / (at - from)).toPrecision(4));
    last.current = [at, value];
    onDraw(now);
  };
  const path = there.map((value, at) => `${at ? "L" : "M"}${(at * WIDTH / (there.length - 1)).toFixed(1)} ${(HEIGHT * (high - value) / (high - low)).toFixed(1)}`).join("");
  return html`<svg ref=${pad} class="pad" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${`Draw here: ${there.length} steps`}
    onPointerDown=${draw} onPointerMove=${draw} onPointerUp=${draw}><path class="line line0" vector-effect="non-scaling-stroke" d=${path} /></svg>`;
}
