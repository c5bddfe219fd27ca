// A language model writes token by token; each token shows what else was likely, and may be replaced by it.

import { html, useEffect, useRef, useState } from "../html.js";
import { call } from "../api.js";
import { Problem } from "../parts.js";
import { Save } from "../saving.js";

const shown = (token) => (token.trim() ? token : token.replace(/ /g, "␣").replace(/\n/g, "⏎") || "∅");

const MARKS = ["<end>", "<unk>"];  // what stands for no text can't be read as one

const AT_ONCE = 8;  // tokens of a request: few enough to see them come

export function Write({ name, query, go }) {
  const base = `/v1/models/${encodeURIComponent(name)}/sessions`;
  const [prompt, setPrompt] = useState(query.prompt ?? "");
  const known = (key, usual) => (query[key] === undefined ? usual : Number(query[key]));
  const [settings, setSettings] = useState({ count: known("count", 120), temperature: known("temperature", 0.8), seed: known("seed", 0) });
  const [text, setText] = useState({ prompt: "", tokens: [] });
  const [chosen, setChosen] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const going = useRef(0);
  const session = useRef(null);
  useEffect(() => () => { going.current += 1; if (session.current) call(`${base}/${session.current}`, { method: "DELETE" }).catch(() => {}); }, []);

  const on = (what, options) => call(`${base}/${session.current}/${what}`, options);
  const takeUp = async (id) => {
    const old = session.current;
    session.current = id;
    if (old) await call(`${base}/${old}`, { method: "DELETE" }).catch(() => {});
  };

  // Goes on until there are enough tokens, the text ends, or something else begins.
  async function goOn(mine, tokens, seed, steps) {
    const first = tokens.length;
    while (tokens.length < settings.count && going.current === mine) {
      const count = Math.min(AT_ONCE, settings.count - tokens.length);
      const body = { max_new_tokens: count, temperature: settings.temperature, alternatives: 10, ...(tokens.length === first ? { seed } : {}) };
      const made = await on("generate", { body });
      if (going.current !== mine) return;
      const begun = steps;
      steps = made.steps;
      tokens = [...tokens, ...made.pieces.map((piece, at) => ({ text: piece, next: made.likely[at], before: begun + at }))];
      setText((now) => ({ ...now, tokens }));
      if (made.ended || !made.pieces.length) return;
    }
  }

  async function run(work) {
    const mine = ++going.current;
    setBusy(true); setError(null); setChosen(null);
    try { await work(mine); } catch (found) { if (going.current === mine) setError(found); }
    if (going.current === mine) setBusy(false);
  }

  useEffect(() => { if (query.prompt !== undefined) begin(); }, []);
  const begin = (event) => {
    event?.preventDefault();
    go({ prompt, ...settings });
    run(async (mine) => {
      await takeUp((await call(base, { body: { seed: settings.seed } })).session);
      setText({ prompt, tokens: [] });
      const { steps } = prompt ? await on("step", { body: { inputs: prompt, answers: "none" } }) : { steps: 0 };
      await goOn(mine, [], settings.seed, steps);
    });
  };

  const instead = (at, token) => run(async (mine) => {
    const { before } = text.tokens[at];
    await takeUp((await on("fork", { method: "POST" })).session);
    await on("rewind", { body: { to: before } });
    const { steps } = await on("step", { body: { inputs: token, answers: "none" } });
    const kept = [...text.tokens.slice(0, at), { ...text.tokens[at], text: token, instead: true }];
    setText({ ...text, tokens: kept });
    await goOn(mine, kept, settings.seed + at + 1, steps);
  });

  const set = (key) => (event) => setSettings({ ...settings, [key]: Number(event.target.value) });
  const rows = () => [["token", "probability", "likelier"], ...text.tokens.map((one) => [one.text, one.next.find((other) => other.token === one.text)?.probability,
    one.next.filter((other) => other.token !== one.text).slice(0, 3).map((other) => other.token).join(" | ")])];
  const asked = chosen === null ? null : text.tokens[chosen];
  return html`<form onSubmit=${begin}><label for="prompt">How it begins</label>
      <textarea id="prompt" rows="2" value=${prompt} onInput=${(event) => setPrompt(event.target.value)}></textarea>
      <div class="row"><label>Tokens <input type="number" min="1" max="900" value=${settings.count} onInput=${set("count")} /></label>
      <label>Temperature <input type="number" min="0" max="5" step="0.1" value=${settings.temperature} onInput=${set("temperature")} /></label>
      <label>Seed <input type="number" min="0" value=${settings.seed} onInput=${set("seed")} /></label>
      <button class="primary">Write</button>
      ${busy && html`<button type="button" onClick=${() => { going.current += 1; setBusy(false); }}>Stop</button>`}</div></form>
    ${error && html`<${Problem} error=${error} />`}
    ${text.tokens.length > 0 && html`<section><h2>Written <span class="quiet">choose a token to see what else was likely</span></h2>
      <p class="written"><span class="quiet">${text.prompt}</span>${text.tokens.map((one, at) => html`<button key=${at} type="button"
        class=${`token${one.instead ? " instead" : ""}`} aria-pressed=${at === chosen} disabled=${busy} aria-label=${one.text.trim() ? null : shown(one.text)}
        onClick=${() => setChosen(at === chosen ? null : at)}>${one.text === "\n" ? "⏎\n" : one.text}</button>`)}</p>
      ${asked && html`<section aria-live="polite"><h3>Instead of “${shown(asked.text)}”</h3>
        ${asked.next.length === 0 && html`<p class="quiet">Nothing is known before the first token.</p>`}
        <table class="bars"><thead class="unseen"><tr><th scope="col">token</th><th scope="col">probability</th></tr></thead><tbody>${
        asked.next.slice(0, 10).map((one) => html`<tr key=${one.token}><th scope="row">${
          MARKS.includes(one.token) ? html`<span class="quiet">${one.token}</span>` : html`<button type="button" disabled=${busy}
            aria-label=${`continue with ${shown(one.token)} instead`} onClick=${() => instead(chosen, one.token)}>${shown(one.token)}</button>`}</th>
          <td><span class="bar" style=${{ width: `${Math.round(70 * one.probability)}%` }}></span>
          <span class="value">${(100 * one.probability).toFixed(1)} %</span></td></tr>`)}</tbody></table></section>`}
      <${Save} name=${`${name} text`} canvas=${null} rows=${rows} /></section>`}
    <p class="unseen" role="status">${busy ? "writing" : text.tokens.length ? `${text.tokens.length} tokens written` : ""}</p>`;
}
