// Where a file is dropped, or chosen; it goes to the server in parts, and then to the view that trains on it.

import { html, useEffect, useState } from "../html.js";
import { call, useAnswer } from "../api.js";
import { link, Problem } from "../parts.js";

export async function send(file, say) {
  const { file: name, part_bytes: size } = await call("/v1/workshop/files", { body: { name: file.name, bytes: file.size } });
  let kept = null;
  for (let at = 0; at < file.size; at += size) {
    say(at / file.size);
    const path = `/v1/workshop/files/${encodeURIComponent(name)}?${new URLSearchParams({ at, of: file.size })}`;
    kept = (await call(path, { method: "PUT", raw: file.slice(at, at + size), type: "application/octet-stream" })).file;
  }
  return kept;
}

function Samples({ onError }) {
  const { answer } = useAnswer("/v1/workshop");
  const take = (name) => () => call(`/v1/workshop/samples/${name}`, { method: "POST" }).then(({ file }) => { location.hash = link("new", file); }, onError);
  return answer && html`<p>No file at hand? ${answer.samples.map((name) => html`<button key=${name} type="button" onClick=${take(name)}>${name}</button> `)}</p>`;
}

export function Drop({ first }) {
  const [over, setOver] = useState(false);
  const [share, setShare] = useState(null);
  const [error, setError] = useState(null);
  async function take(files) {
    if (!files.length) return;
    setError(null);
    try {
      if (files.length > 1) throw Object.assign(new Error("One file at a time was expected."), { detail: `Received: ${files.length} files.`, hint: "several files: drop them as one .zip" });
      if (!files[0].size) throw Object.assign(new Error("A file with something in it was expected."), { detail: `Received: ${files[0].name}, which is empty, or a folder.`, hint: "a folder: drop it as one .zip" });
      location.hash = link("new", await send(files[0], setShare));
    } catch (found) { setError(found); setShare(null); }
  }
  useEffect(() => {  // anywhere on the page
    const hold = (event) => { event.preventDefault(); setOver(event.type === "dragover"); };
    const drop = (event) => { hold(event); take([...event.dataTransfer.files]); };
    const heard = { dragover: hold, dragleave: hold, drop };
    Object.entries(heard).forEach(([name, hear]) => addEventListener(name, hear));
    return () => Object.entries(heard).forEach(([name, hear]) => removeEventListener(name, hear));
  }, []);
  return html`<section class=${`drop${over ? " over" : ""}${first ? " first" : ""}`} aria-label="Train on a file">
    <p><strong>Drop a file here to train on it</strong>, or <label class="choose">choose one<input type="file" class="unseen"
      onChange=${(event) => { take([...event.target.files]); event.target.value = ""; }} /></label></p>
    <p class="quiet">A table (CSV, TSV, JSONL, Parquet, Excel), a text, or a .zip of texts, sounds, pictures or films. It stays on this machine.</p>
    ${first && html`<${Samples} onError=${setError} />`}
    ${share !== null && html`<p role="status"><progress max="1" value=${share} aria-label="Sent"></progress> ${Math.round(100 * share)} %</p>`}
    ${error && html`<${Problem} error=${error} />`}</section>`;
}
