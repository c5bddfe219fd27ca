// A model that goes on frame by frame: notes on a piano roll that plays, or curves.

import { html, useEffect, useRef, useState } from "../html.js";
import { call } from "../api.js";
import { number, Problem } from "../parts.js";
import { Plot } from "../plot.js";
import { Save } from "../saving.js";

const AT_ONCE = 16, ROW = 7, NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
const hertz = (pitch) => 440 * 2 ** ((pitch - 69) / 12);

// Notes that go on over several frames are one.
export function notes(frames) {
  const found = [], open = new Map();
  frames.forEach((frame, at) => {
    for (const pitch of frame) {
      if (open.has(pitch) && frames[at - 1]?.includes(pitch)) open.get(pitch).length += 1;
      else { const note = { pitch, start: at, length: 1 }; open.set(pitch, note); found.push(note); }
    }
  });
  return found;
}

function Roll({ frames, given }) {
  const [at, setAt] = useState(null);
  const [tempo, setTempo] = useState(240);
  const playing = useRef(null);
  const stop = () => { if (playing.current) { playing.current.context.close(); clearInterval(playing.current.timer); playing.current = null; } setAt(null); };
  useEffect(() => stop, []);
  const all = notes(frames), pitches = all.map((one) => one.pitch);
  if (!all.length) return html`<p class="quiet">Silence.</p>`;
  const low = Math.min(...pitches) - 1, high = Math.max(...pitches) + 1, wide = Math.max(4, Math.min(20, 900 / frames.length));
  const play = () => {
    if (playing.current) { stop(); return; }
    const context = new AudioContext(), frame = 60 / tempo, begin = context.currentTime + 0.05;
    for (const one of all) {
      const tone = context.createOscillator(), level = context.createGain(), start = begin + one.start * frame, end = start + one.length * frame;
      tone.type = "triangle"; tone.frequency.value = hertz(one.pitch);
      level.gain.setValueAtTime(0, start); level.gain.linearRampToValueAtTime(0.16, start + 0.015); level.gain.setValueAtTime(0.16, end - 0.03); level.gain.linearRampToValueAtTime(0, end);
      tone.connect(level).connect(context.destination); tone.start(start); tone.stop(end);
    }
    const timer = setInterval(() => { const now = (context.currentTime - begin) / frame; if (now >= frames.length) stop(); else setAt(Math.max(0, now)); }, 50);
    playing.current = { context, timer };
  };
  const width = frames.length * wide + 44, height = (high - low + 1) * ROW + 18;
  return html`<section><p class="row"><button type="button" class="primary" onClick=${play}>${at === null ? "Play" : "Stop playing"}</button>
      <label>Frames a minute <input type="number" min="30" max="1200" value=${tempo} onInput=${(event) => setTempo(Number(event.target.value) || 240)} /></label></p>
    <div class="wide" tabindex="0" role="region" aria-label="Piano roll"><svg class="roll" viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} role="img"
      aria-label=${`${all.length} notes in ${frames.length} frames, ${pitchName(low + 1)} to ${pitchName(high - 1)}`}>
      ${Array.from({ length: high - low + 1 }, (_, row) => high - row).map((pitch, row) => html`<g key=${pitch}>${[1, 3, 6, 8, 10].includes(pitch % 12) && html`<rect class="black" x="40" y=${row * ROW} width=${width - 44} height=${ROW} />`}
        ${pitch % 12 === 0 && html`<text x="34" y=${row * ROW + ROW + 2} text-anchor="end">${pitchName(pitch)}</text><line class="grid" x1="40" x2=${width - 4} y1=${row * ROW + ROW} y2=${row * ROW + ROW} />`}</g>`)}
      ${all.map((one) => html`<rect class=${one.start < given ? "note given" : "note"} x=${40 + one.start * wide} y=${(high - one.pitch) * ROW + 1} width=${one.length * wide - 1} height=${ROW - 1} />`)}
      ${at !== null && html`<line class="mark" x1=${40 + at * wide} x2=${40 + at * wide} y1="0" y2=${height - 18} />`}</svg></div>
    <p class="quiet">Grey was given, the rest is written.</p>
    <${Save} name="notes" rows=${() => [["pitch", "name", "start", "frames"], ...all.map((one) => [one.pitch, pitchName(one.pitch), one.start, one.length])]} /></section>`;
}

function Curves({ frames, given }) {
  const channels = frames.length && Array.isArray(frames[0]) ? frames[0].map((_, at) => at) : [null];
  const line = (channel, from, to) => frames.slice(from, to).map((one, at) => [from + at, channel === null ? one : one[channel]]);
  return html`${channels.map((channel) => html`<section key=${channel}><${Plot} title=${channel === null ? "value" : `channel ${channel + 1}`}
    lines=${[{ name: "given", points: line(channel, 0, given) }, { name: "written", points: line(channel, Math.max(0, given - 1), frames.length) }]} />
    <${Save} name=${channel === null ? "frames" : `channel ${channel + 1}`} rows=${() => [["step", "value"], ...line(channel, 0, frames.length)]} /></section>`)}`;
}

export function Frames({ name, asked, query, go }) {
  const base = `/v1/models/${encodeURIComponent(name)}/sessions`, column = asked.columns[0];
  const cell = asked.examples[0]?.[column.name], whole = typeof cell === "string" ? JSON.parse(cell) : cell ?? [];
  const [prompt, setPrompt] = useState(query.prompt ?? JSON.stringify(whole.slice(0, 8)));
  const [settings, setSettings] = useState({ count: Number(query.count ?? 64), temperature: Number(query.temperature ?? 1), seed: Number(query.seed ?? 0) });
  const [state, setState] = useState({ frames: [], given: 0 });
  const going = useRef(0);
  useEffect(() => { if (query.prompt !== undefined) write(); }, []);
  const write = async (event) => {
    event?.preventDefault();
    const mine = ++going.current;
    let session = null;
    go({ prompt, ...settings });
    try {
      let given;
      try { given = prompt.trim() ? JSON.parse(prompt) : []; } catch { throw Object.assign(new Error("Frames were expected, a list of JSON."), { detail: `Received: ${prompt.slice(0, 40)}`, hint: "[[60, 64], [62]]" }); }
      setState({ frames: given, given: given.length, busy: true });
      session = (await call(base, { body: { seed: settings.seed } })).session;
      if (given.length) await call(`${base}/${session}/step`, { body: { inputs: given, answers: "none" } });
      for (let frames = given, left = settings.count; left > 0 && mine === going.current; left -= AT_ONCE) {
        const made = await call(`${base}/${session}/generate`, { body: { max_new_tokens: Math.min(AT_ONCE, left), temperature: settings.temperature } });
        frames = [...frames, ...made.pieces];
        setState({ frames, given: given.length, busy: true });
        if (made.ended || !made.pieces.length) break;
      }
      setState((before) => ({ ...before, busy: false }));
    } catch (error) { setState((before) => ({ ...before, busy: false, error })); }
    if (session) call(`${base}/${session}`, { method: "DELETE" }).catch(() => {});
  };
  const set = (key) => (event) => setSettings({ ...settings, [key]: Number(event.target.value) });
  const View = column.kind === "notes" ? Roll : Curves;
  return html`<form onSubmit=${write}><label for="prompt">How it begins <span class="quiet">${column.kind}: a frame a list${column.kind === "notes" ? " of MIDI pitches" : ""}</span></label>
      <textarea id="prompt" rows="3" spellcheck=${false} value=${prompt} onInput=${(event) => setPrompt(event.target.value)}></textarea>
      <div class="row"><label>Frames <input type="number" min="1" max="900" value=${settings.count} onInput=${set("count")} /></label>
      <label>Temperature <input type="number" min="0" max="5" step="0.1" value=${settings.temperature} onInput=${set("temperature")} /></label>
      <label>Seed <input type="number" min="0" value=${settings.seed} onInput=${set("seed")} /></label>
      <button class="primary">Write</button>${state.busy && html`<button type="button" onClick=${() => { going.current += 1; }}>Stop</button>`}</div></form>
    ${state.error && html`<${Problem} error=${state.error} />`}
    ${state.frames.length > 0 && html`<${View} frames=${state.frames} given=${state.given} />`}
    <p class="quiet" role="status">${state.busy ? "writing" : state.frames.length ? `${number(state.frames.length - state.given)} frames written` : ""}</p>`;
}
