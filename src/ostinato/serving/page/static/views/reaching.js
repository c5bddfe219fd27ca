// Whose loss reaches so far back: a point of the plots of memory leads here, and from here to the step.

import { html, useEffect, useRef, useState } from "../html.js";
import { useAnswer } from "../api.js";
import { link, number, Waiting } from "../parts.js";
import { goesOn, Progress, useJob } from "../jobs.js";
import { Save } from "../saving.js";

function Moments({ name, found, about }) {
  const step = (at, one) => html`<a href=${link("states", name, { track: about.track, series: `${found.layer}.h`, at, first: Math.max(0, one.step - 100), span: 200 + found.lag })}>${number(at)}</a>`;
  const csv = () => [["loss at step", "state after step", "norm", "around"], ...found.moments.map((one) => [one.at, one.step, one.norm, one.around])];
  return html`<p role="status">${found.layer}, ${number(found.lag)} steps back: norm ${number(found.typical)} in the mean of ${number(found.num_tried)} losses.</p>
    <div class="wide" tabindex="0" role="region" aria-label="Moments"><table><thead><tr><th scope="col">loss at step</th><th scope="col">state after step</th><th scope="col" class="right">norm</th><th scope="col">around the loss</th></tr></thead>
    <tbody>${found.moments.map((one) => html`<tr key=${`${one.at}/${one.step}`}><td>${step(one.at, one)}</td><td>${step(one.step, one)}</td><td class="right">${number(one.norm)}</td><td class="around">${one.around}</td></tr>`)}</tbody></table></div>
    <${Save} name=${`${name} moments at lag ${found.lag}`} canvas=${null} rows=${csv} />`;
}

export function Reaching({ name, run, query, part, wanted }) {
  const { answer } = useAnswer(`${run}/tracks`), work = useJob(`${run}/jobs/reaching`), heading = useRef(null), begun = useRef(false);
  const layers = part.gradients.map((one) => one.layer), track = answer?.tracks.find((one) => one.key === query.track) ?? answer?.tracks[0];
  const [asked, setAsked] = useState({ lag: Number(query.lag ?? 10), layer: layers.includes(query.of) ? query.of : layers[0] });
  const begin = (given) => {
    setAsked(given);
    const words = Object.fromEntries(new URLSearchParams(location.hash.split("?")[1] ?? ""));
    history.replaceState(null, "", link("memory", name, { ...words, track: track.key, lag: given.lag, of: given.layer }));
    work.start({ track: track.key, ...given });
  };
  useEffect(() => {
    if (!wanted || !track) return;
    begin(wanted);
    heading.current.scrollIntoView({ block: "nearest" });
  }, [wanted]);
  const { job } = work, known = job === undefined ? null : job?.about ?? {};
  useEffect(() => { // the address says what was found: found again where the server has forgotten it
    if (begun.current || !track || !known || query.lag === undefined) return;
    begun.current = true;
    if (known.track !== track.key || known.lag !== asked.lag || known.layer !== asked.layer) begin(asked);
  }, [track?.key, known === null]);
  if (!answer) return html`<${Waiting} />`;
  const head = html`<h2 ref=${heading}>Moments that reach far back</h2>`;
  if (!track) return html`<section>${head}<p><a href=${link("states", name)}>Follow the network over some data first</a>: the moments are steps of that.</p></section>`;
  return html`<section>${head}<p class="quiet">Where the loss depends most on the state so many steps before it: choose a point of the plots above, or a lag. Of up to 96 losses at even distances over ${number(track.num_steps)} steps (${track.data}).</p>
    <form class="row" onSubmit=${(event) => { event.preventDefault(); begin(asked); }}><label>Lag <input type="number" min="0" max="5000" value=${asked.lag} onInput=${(event) => setAsked({ ...asked, lag: Number(event.target.value) })} /></label>
      ${layers.length > 1 && html`<label>of <select onChange=${(event) => setAsked({ ...asked, layer: event.target.value })}>${layers.map((one) => html`<option value=${one} selected=${one === asked.layer}>${one}</option>`)}</select></label>`}
      <button disabled=${goesOn(job)}>Find moments</button></form><${Progress} work=${work} following="Losses" />
    ${job?.result && html`<${Moments} name=${name} found=${job.result} about=${job.about} />`}</section>`;
}
