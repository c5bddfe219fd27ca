// The view as it is shown, as one HTML file that needs nothing else.

import { html, useState } from "./html.js";
import { save } from "./saving.js";

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

async function whole() {
  const main = document.querySelector("main"), copy = main.cloneNode(true);
  const drawn = [...main.querySelectorAll("canvas")];
  copy.querySelectorAll("canvas").forEach((one, at) => {
    const picture = document.createElement("img");
    picture.dataset.drawn = at;  // with its address here the page itself would load it, which its policy forbids
    picture.setAttribute("alt", one.getAttribute("aria-label") ?? "");
    picture.style.maxWidth = "100%";
    one.replaceWith(picture);
  });
  const fields = [...main.querySelectorAll("input, textarea, select")];
  copy.querySelectorAll("input, textarea, select").forEach((one, at) => {
    const shown = document.createElement("span");
    shown.textContent = fields[at].type === "checkbox" ? (fields[at].checked ? "☑" : "☐") : fields[at].type === "file" ? "" : fields[at].value;
    one.replaceWith(shown);
  });
  copy.querySelectorAll(".save, .drop, .ideas, script").forEach((one) => one.remove());
  copy.querySelectorAll("button").forEach((one) => { one.disabled = true; });
  copy.querySelectorAll("a[href]").forEach((one) => one.removeAttribute("href"));
  const styles = await Promise.all([...document.querySelectorAll("link[rel=stylesheet]")].map((one) => fetch(one.href).then((answer) => answer.text())));
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${escaped(document.title)}</title><style>${styles.join("\n")}</style></head>
<body>${drawn.reduce((text, one, at) => text.replace(`data-drawn="${at}"`, `src="${one.toDataURL()}"`), copy.outerHTML)}<footer class="quiet">Saved from Ostinato, ${escaped(new Date().toISOString().slice(0, 16).replace("T", " "))} UTC</footer></body></html>\n`;
}

export function OneFile() {
  const [failed, setFailed] = useState(false);
  const name = document.title.replace(/ · Ostinato$/, "").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase() || "view";
  const keep = () => whole().then((text) => save(new Blob([text], { type: "text/html" }), `${name}.html`), () => setFailed(true));
  return html`<button type="button" class="plain" onClick=${keep}>Save this view as one HTML file</button>${failed && html` <span role="alert">It can't be read from the server.</span>`}`;
}
