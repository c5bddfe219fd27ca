// Which units tell a question, scored on steps that did not choose them; each leads to its row.

import { html } from "../html.js";
import { useAnswer } from "../api.js";
import { Problem, Waiting } from "../parts.js";
import { Save } from "../saving.js";

const unitName = (one) => `${one.series}[${one.unit}]`;

export function Told({ base, name, question, choose }) {
  const { answer, error, waiting } = useAnswer(`${base}/answer?${new URLSearchParams({ question })}`);
  const csv = () => [["unit", "r"], ...answer.units.map((one) => [unitName(one), one.correlation])];
  return html`<section><h2>Units that tell ${question}</h2>${waiting && html`<${Waiting}>Asking all steps…<//>`}${error && html`<${Problem} error=${error} />`}
    ${answer && (answer.units.length === 0 ? html`<p role="status">It has one answer at all steps of a half of them: no unit could tell it.</p>` : html`<p class="ideas">${answer.units.map((one) => html`<button key=${unitName(one)} type="button"
      onClick=${() => choose(one)}>${unitName(one)} <span class="quiet">r = ${one.correlation.toFixed(3)}</span></button>`)}</p>
      <p>A linear map of ${answer.probe.map(unitName).join(", ") || "no unit"} reaches R² = ${answer.r_squared.toFixed(3)}. <span class="quiet">Scored on the half of the steps that chose and fitted nothing.</span></p><${Save} name=${`${name} units`} canvas=${null} rows=${csv} />`)}</section>`;
}
