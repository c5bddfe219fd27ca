// Requests to the server that this page came from.

import { useEffect, useState } from "./html.js";

export class Refused extends Error {
  constructor(problem) {
    super(problem.title);
    this.detail = problem.detail;
    this.hint = problem.hint;
    this.status = problem.status;
  }
}

const token = () => sessionStorage.getItem("token");

export function keepToken(given) {
  sessionStorage.setItem("token", given);
}

export async function call(path, { body, raw, method, bytes, type = "application/json" } = {}) {
  const headers = { "x-ostinato": "page" };
  if (token()) headers.authorization = `Bearer ${token()}`;
  if (body !== undefined || raw !== undefined) headers["content-type"] = type;
  let answer;
  try {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    answer = await fetch(path, { method: method ?? (content === undefined ? "GET" : "POST"), headers, body: content });
  } catch {
    throw new Refused({ title: "The server does not answer.", hint: "start it again, then reload this page" });
  }
  if (answer.status === 204) return null;
  if (bytes && answer.ok) return new Uint8Array(await answer.arrayBuffer());
  const found = await answer.json();
  if (!answer.ok) throw new Refused(found);
  return found;
}

// What a GET answers, read anew when the path changes, when `reload` is called, and every few seconds while `again`
// says so of the answer.
export function useAnswer(path, again = () => false, every = 5000) {
  const [state, setState] = useState({ path: null });
  const [asked, setAsked] = useState(0);
  const reload = () => setAsked((count) => count + 1);
  useEffect(() => {
    if (path === null) return undefined;
    let current = true;
    let timer;
    const read = () => call(path).then((answer) => {
      if (!current) return;
      setState({ path, answer });
      if (again(answer)) timer = setTimeout(read, every);
    }, (error) => current && setState({ path, error }));
    read();
    return () => { current = false; clearTimeout(timer); };
  }, [path, asked]);
  return state.path === path ? { ...state, reload } : { path, waiting: path !== null, reload };
}
