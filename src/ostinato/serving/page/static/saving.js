// What is shown, as files: a canvas or a plot as PNG, rows as CSV.

import { html } from "./html.js";

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export const saveCanvas = (canvas, name) => canvas.toBlob((blob) => save(blob, `${name}.png`));

const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  const guarded = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
};

export const saveRows = (rows, name) => save(new Blob([rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }), `${name}.csv`);

// A picture of SVG would be an address that the page's policy forbids: its few kinds of elements are drawn anew.
export function savePlot(svg, name) {
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const canvas = document.createElement("canvas"), scale = 2;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, width, height);
  const number = (one, key) => Number(one.getAttribute(key) ?? 0);
  for (const one of svg.querySelectorAll("line, path, circle, text, rect")) {
    const style = getComputedStyle(one);
    const path = new Path2D(one.tagName === "path" ? one.getAttribute("d") : undefined);
    if (one.tagName === "line") { path.moveTo(number(one, "x1"), number(one, "y1")); path.lineTo(number(one, "x2"), number(one, "y2")); }
    if (one.tagName === "circle") path.arc(number(one, "cx"), number(one, "cy"), number(one, "r"), 0, 7);
    if (one.tagName === "rect") path.rect(number(one, "x"), number(one, "y"), number(one, "width"), number(one, "height"));
    context.globalAlpha = Number(style.opacity) * (style.fill === "none" ? 1 : Number(style.fillOpacity));
    if (one.tagName === "text") {
      context.fillStyle = style.fill;
      context.font = `12px ${style.fontFamily}`;
      context.textAlign = { middle: "center", end: "right" }[one.getAttribute("text-anchor")] ?? "left";
      context.textBaseline = one.getAttribute("dy") ? "middle" : "alphabetic";
      context.fillText(one.textContent, number(one, "x"), number(one, "y"));
      continue;
    }
    if (style.fill !== "none" && one.tagName !== "line") { context.fillStyle = style.fill; context.fill(path); }
    context.globalAlpha = Number(style.opacity);
    if (style.stroke !== "none") { context.strokeStyle = style.stroke; context.lineWidth = parseFloat(style.strokeWidth); context.stroke(path); }
  }
  saveCanvas(canvas, name);
}

// Buttons for what stands above them in the same section.
export function Save({ name, rows, canvas }) {
  const picture = (event) => {
    const section = event.target.closest("section"), drawn = canvas ? section.querySelector("canvas") : section.querySelector("svg");
    if (canvas) saveCanvas(drawn, name); else if (drawn) savePlot(drawn, name);
  };
  return html`<p class="save">${canvas !== null && html`<button type="button" onClick=${picture}>Save PNG</button>`}
    ${rows && html` <button type="button" onClick=${() => saveRows(rows(), name)}>Save CSV</button>`}</p>`;
}
