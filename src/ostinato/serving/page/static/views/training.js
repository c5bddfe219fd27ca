// How a training stands: how far it is, what it says, stop and resume.

import { html, useState } from "../html.js";
import { call } from "../api.js";
import { link, Problem } from "../parts.js";

const again = ({ file, settings, ...said }) => ({ ...said, ...(settings.length ? { settings: settings.join("\n") } : {}) });

const SKIP = "data.on_bad_row=skip";
const leavingOut = (said) => again({ ...said, settings: [...said.settings, SKIP] });

export function Training({ run, reload }) {
  const [error, setError] = useState(null);
  const [asked, setAsked] = useState(null);
  const { job, state } = run;
  const act = (what, body) => async () => {
    setError(null); setAsked(what);
    try { await call(`/v1/workshop/trainings/${encodeURIComponent(run.name)}/${what}`, { method: "POST", body }); } catch (found) { setError(found); setAsked(null); }
    reload();
  };
  const forget = async () => {
    await call(`/v1/workshop/trainings/${encodeURIComponent(run.name)}`, { method: "DELETE" }).catch(() => {});
    location.hash = "#/";
  };
  const going = job?.alive || state === "training";
  const stopping = going && asked === "stop", ended = !going && state === "finished";
  const problem = job?.problem && !ended && html`<${Problem} error=${{ ...job.problem, message: job.problem.title }} />`;
  if (!going && !problem && !error && (!run.trains || state === "unreadable")) return null;
  const said = stopping ? "Stopping after the step in hand…" : state === "preparing" || (going && !run.progress && state !== "finished") ? "Reading the data, and planning…"
    : ended ? "" : going && state === "finished" ? "Trained; comparing with baselines and writing the report…" : going ? `Training, ${Math.round(100 * run.progress)} %`
      : state === "failed" ? "It ended before there was a model." : "Stopped; what was best so far is kept.";
  return html`<section class=${`training${going ? " going" : ""}`} aria-label="Training">
    ${said && html`<p role="status">${said} ${going && state === "training" && html`<progress max="1" value=${run.progress ?? 0} aria-label="Budget spent"></progress>`}</p>`}
    ${problem}${error && html`<${Problem} error=${error} />`}
    ${run.trains && html`<p class="row">${job?.alive && !stopping && html`<button type="button" onClick=${act("stop")}>Stop</button>`}
      ${!going && state === "unfinished" && html`<button type="button" class="primary" onClick=${act("resume", {})}>Resume</button>`}
      ${state === "failed" && job.said && job.problem?.hint?.includes(SKIP) && html`<a class="primary" href=${link("new", job.said.file, leavingOut(job.said))}>Leave them out, and train again</a>`}
      ${state === "failed" && job.said && html`<a href=${link("new", job.said.file, again(job.said))}>Change it, and train again</a>`}
      ${state === "failed" && html`<button type="button" onClick=${forget}>Forget it</button>`}
      ${ended && html`<button type="button" onClick=${act("resume", { longer: true })}>Train longer</button>`}</p>`}
    ${job && html`<details open=${going || state === "failed"}><summary>What it says</summary><pre class="log" tabindex="0">${job.log}</pre>
      <p class="quiet">${job.command}</p></details>`}</section>`;
}
