// In which order the units of a state stand.

import { html, useState } from "../html.js";

const FIXED = [["unit", "number"], ["constant", "time constant"], ["cluster", "cluster"], ["question", "a question"]];

export function Order({ by, waiting, change }) {
  const asks = !["unit", "constant", "cluster"].includes(by);
  const [open, setOpen] = useState(asks);
  const [question, setQuestion] = useState(asks ? by : "");
  const choose = (event) => {
    setOpen(event.target.value === "question");
    if (event.target.value !== "question") change(event.target.value);
    else if (question) change(question);
  };
  return html`<label>Units by <select onChange=${choose}>${FIXED.map(([key, text]) => html`<option value=${key} selected=${key === (open ? "question" : by)}>${text}</option>`)}</select></label>
    ${open && html`<form class="row" onSubmit=${(event) => { event.preventDefault(); change(question); }}><label>Question <input class="mono" value=${question} required spellcheck=${false}
      placeholder="since('\\n')" onInput=${(event) => setQuestion(event.target.value)} /></label><button>Sort</button></form>`}
    ${waiting && html`<span class="quiet" role="status">sorting…</span>`}`;
}
