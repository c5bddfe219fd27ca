// Work in the background: how far it is, and what came of it.

import { html, useEffect, useState } from "./html.js";
import { call } from "./api.js";
import { number, Problem } from "./parts.js";

export const goesOn = (job) => ["reading", "following"].includes(job?.state);

// Follows the work at an address; start(body), stop().
export function useJob(path) {
  const [state, setState] = useState({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let current = true, timer;
    const read = () => call(path).then((found) => {
      if (!current) return;
      setState((before) => ({ ...before, ...found }));
      if (goesOn(found.job)) timer = setTimeout(read, 400);
    }, (error) => current && setState({ error }));
    read();
    return () => { current = false; clearTimeout(timer); };
  }, [path, turn]);
  const again = () => setTurn((now) => now + 1);
  return { ...state, again,
    start: (body) => call(path, { body, method: "POST" }).then(() => { setState((before) => ({ ...before, error: null })); again(); }, (error) => setState((before) => ({ ...before, error }))),
    stop: () => call(path, { method: "DELETE" }).then(again, again) };
}

export function Progress({ work, reading = "Reading the data", following = "Done" }) {
  const { job, error, stop } = work;
  return html`${error && html`<${Problem} error=${error} />`}${job?.problem && html`<p class="problem" role="alert">${job.problem}</p>`}
    ${goesOn(job) && html`<p><label>${job.total ? `${following}: ${number(job.done)} of ${number(job.total)}` : `${reading}…`}
      <progress max="1" value=${job.total ? job.done / job.total : null}></progress></label> <button type="button" onClick=${stop}>Stop</button></p>`}`;
}
