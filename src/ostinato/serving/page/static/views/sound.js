// A sound, recorded or chosen: its spectrogram, and what is answered while it is heard.

import { html, useEffect, useRef, useState } from "../html.js";
import { call } from "../api.js";
import { number, Problem } from "../parts.js";
import { Save } from "../saving.js";
import { Answer, Shares } from "./answers.js";

const AS_IT_IS = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const WINDOW = 512, BANDS = 96, LONGEST_S = 60, PARTS = 8;

// Magnitudes of a window by the radix-2 transform.
function spectrum(samples, start) {
  const re = new Float32Array(WINDOW), im = new Float32Array(WINDOW);
  for (let at = 0, turned = 0; at < WINDOW; at += 1) {
    re[turned] = (samples[start + at] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * at) / WINDOW));
    let bit = WINDOW >> 1;
    while (turned & bit) { turned ^= bit; bit >>= 1; }
    turned |= bit;
  }
  for (let size = 2; size <= WINDOW; size *= 2) {
    for (let at = 0; at < WINDOW; at += size) {
      for (let step = 0; step < size / 2; step += 1) {
        const angle = (-2 * Math.PI * step) / size, one = at + step, other = one + size / 2;
        const c = Math.cos(angle), s = Math.sin(angle), x = re[other] * c - im[other] * s, y = re[other] * s + im[other] * c;
        [re[other], im[other], re[one], im[one]] = [re[one] - x, im[one] - y, re[one] + x, im[one] + y];
      }
    }
  }
  return re.slice(0, WINDOW / 2).map((value, at) => Math.hypot(value, im[at]));
}

function Spectrogram({ samples, rate }) {
  const canvas = useRef(null);
  useEffect(() => {
    const width = Math.max(1, Math.min(900, Math.floor(samples.length / 128))), hop = samples.length / width;
    Object.assign(canvas.current, { width, height: BANDS });
    const context = canvas.current.getContext("2d"), picture = context.createImageData(width, BANDS);
    const shades = Array.from({ length: width }, (_, at) => {
      const found = spectrum(samples, Math.round(at * hop));
      return Array.from({ length: BANDS }, (_, band) => Math.log(1e-4 + found[Math.min(255, Math.round(2 + 253 * (band / BANDS) ** 1.6))]));
    });
    const all = shades.flat(), low = all.reduce((least, one) => Math.min(least, one), 9), high = all.reduce((most, one) => Math.max(most, one), -99);
    shades.forEach((column, x) => column.forEach((value, band) => {
      const share = (value - low) / (high - low || 1), at = 4 * ((BANDS - 1 - band) * width + x);
      picture.data.set([30 + 225 * share ** 1.5, 20 + 190 * share ** 2.2, 60 + 90 * Math.sin(Math.PI * share), 255], at);
    }));
    context.putImageData(picture, 0, 0);
  }, [samples]);
  return html`<section><h2>Spectrogram</h2><canvas ref=${canvas} class="spectrogram" role="img" aria-label=${`Spectrogram of ${number(samples.length / rate)} seconds, up to ${rate / 2000} kHz`}></canvas>
    <p class="quiet">${number(samples.length / rate)} s, ${number(rate)} samples a second</p><${Save} name="spectrogram" canvas=${true} /></section>`;
}

const int16 = (samples) => Int16Array.from(samples, (one) => Math.max(-32768, Math.min(32767, Math.round(32767 * one))));

function wav(samples, rate) {
  const head = new DataView(new ArrayBuffer(44)), size = 2 * samples.length;
  const text = (at, said) => [...said].forEach((one, n) => head.setUint8(at + n, one.charCodeAt(0)));
  text(0, "RIFF"); head.setUint32(4, 36 + size, true); text(8, "WAVEfmt "); head.setUint32(16, 16, true); head.setUint16(20, 1, true); head.setUint16(22, 1, true);
  head.setUint32(24, rate, true); head.setUint32(28, 2 * rate, true); head.setUint16(32, 2, true); head.setUint16(34, 16, true); text(36, "data"); head.setUint32(40, size, true);
  return new Blob([head, int16(samples)], { type: "audio/wav" });
}

const base64 = (numbers) => { let text = ""; new Uint8Array(numbers.buffer).forEach((one) => { text += String.fromCharCode(one); }); return btoa(text); };

// What a session says while it is given the sound; without sessions, what is said of its beginnings.
async function heard(model, samples, rate, sessions, say) {
  const base = `/v1/models/${encodeURIComponent(model)}`, found = [];
  if (!sessions) {
    for (let part = 1; part <= PARTS; part += 1) {
      const some = samples.slice(0, Math.round((part * samples.length) / PARTS));
      const { predictions } = await call(`${base}/predict?name=part.wav`, { raw: wav(some, rate), type: "audio/wav" });
      found.push({ at: some.length / rate, ...predictions[0] });
      say([...found]);
    }
    return;
  }
  const { session } = await call(`${base}/sessions`, { body: { sample_rate: rate } });
  try {
    const size = Math.ceil(Math.max(rate / 20, samples.length / 100));
    for (let at = 0; at < samples.length; at += size) {
      const { answers } = await call(`${base}/sessions/${session}/step`, { body: { inputs: { int16: base64(int16(samples.slice(at, at + size))) }, answers: "last" } });
      if (answers.length) { found.push({ at: Math.min(samples.length, at + size) / rate, ...answers.at(-1) }); say([...found]); }
    }
    const { answers: last } = await call(`${base}/sessions/${session}/finish`);
    if (last?.length) say([...found, { at: samples.length / rate + 1e-3, ...last.at(-1) }]);
  } finally { await call(`${base}/sessions/${session}`, { method: "DELETE" }).catch(() => {}); }
}

export function Sound({ name, asked }) {
  const rate = asked.sample_rate ?? 16000;
  const [state, setState] = useState({});
  const [running, setRunning] = useState([]);
  const recorder = useRef(null), turn = useRef(0);
  const [recording, setRecording] = useState(false);
  useEffect(() => () => { turn.current += 1; recorder.current?.stream.getTracks().forEach((one) => one.stop()); }, []);
  async function hear(blob, fileName) {
    const mine = ++turn.current;
    setState({ waiting: true }); setRunning([]);
    try {
      const context = new AudioContext({ sampleRate: rate });
      const whole = await context.decodeAudioData(await blob.arrayBuffer()).catch(() => null);
      context.close();
      if (!whole && !fileName) throw Object.assign(new Error("A sound was expected."), { detail: "Received: what this browser can't read.", hint: "choose a file of WAV" });
      const samples = whole && whole.getChannelData(0).slice(0, LONGEST_S * rate);
      setState({ waiting: true, samples });
      const sent = fileName && /\.(wav|flac|ogg|mp3|aiff?)$/i.test(fileName) ? { blob, as: fileName } : { blob: wav(samples, rate), as: "sound.wav" };
      const { predictions } = await call(`/v1/models/${encodeURIComponent(name)}/predict?${new URLSearchParams({ name: sent.as })}`, { raw: sent.blob, type: "audio/wav" });
      if (mine !== turn.current) return;
      setState({ samples, found: predictions[0] });
      if (samples && predictions[0].probabilities) await heard(name, samples, rate, Boolean(asked.sample_rate), (said) => mine === turn.current && setRunning(said));
    } catch (error) { if (mine === turn.current) setState((before) => ({ ...before, waiting: false, error })); }
  }
  async function record() {
    if (recording) { recorder.current.stop(); setRecording(false); return; }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS }), parts = [];
      recorder.current = new MediaRecorder(stream);
      recorder.current.ondataavailable = (event) => parts.push(event.data);
      recorder.current.onstop = () => { stream.getTracks().forEach((one) => one.stop()); hear(new Blob(parts)); };
      recorder.current.start();
      setRecording(true);
    } catch { setState({ error: Object.assign(new Error("A microphone was expected."), { detail: "Received: none, or it was not allowed.", hint: "choose a file" }) }); }
  }
  const play = () => {
    const context = new AudioContext(), source = context.createBufferSource(), buffer = context.createBuffer(1, state.samples.length, rate);
    buffer.copyToChannel(state.samples, 0);
    source.buffer = buffer; source.connect(context.destination); source.onended = () => context.close(); source.start();
  };
  const drop = (event) => { event.preventDefault(); if (event.dataTransfer.files[0]) hear(event.dataTransfer.files[0], event.dataTransfer.files[0].name); };
  return html`<section class="drop" aria-label="A sound" onDragOver=${(event) => event.preventDefault()} onDrop=${drop}><p class="row">
      <button type="button" class="primary" aria-pressed=${recording} onClick=${record}>${recording ? "Stop recording" : "Record"}</button>
      <span>or drop a sound, or <label class="choose">choose one<input type="file" accept="audio/*" class="unseen" onChange=${(event) => event.target.files[0] && hear(event.target.files[0], event.target.files[0].name)} /></label></span>
      ${state.samples && html`<button type="button" onClick=${play}>Play</button>`}</p>
      ${state.waiting && html`<p role="status" class="quiet">Listening…</p>`}</section>
    ${state.error && html`<${Problem} error=${state.error} />`}
    ${state.samples && html`<${Spectrogram} samples=${state.samples} rate=${rate} />`}
    ${state.found && html`<${Answer} found=${state.found} row=${null} model=${name} />`}
    ${running.length > 1 && html`<${Shares} title="The answer as it is heard" answers=${running} at=${(step) => running[step].at} x="seconds" />`}`;
}
