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

// The token is in the address that the page was opened by, and stays in this tab; a further tab asks those that are open.
const token = () => sessionStorage.getItem("token");
const tabs = new BroadcastChannel("token");
tabs.onmessage = ({ data }) => { if (data === "asked" && token()) tabs.postMessage({ token: token() }); };

export function keepToken(given) {
  sessionStorage.setItem("token", given);
}

export function takeToken() {
  const given = location.hash.match(/^#token=(.+)$/);
  if (!given) return;
  keepToken(decodeURIComponent(given[1]));
  history.replaceState(null, "", "#/");
}

let asked;
const askTabs = () => (asked ??= new Promise((done) => {
  tabs.addEventListener("message", ({ data }) => { if (data.token) { keepToken(data.token); done(true); } });
  tabs.postMessage("asked");
  setTimeout(() => done(false), 300);
}));

export async function call(path, { body, raw, method, bytes, type = "application/json" } = {}) {
  const headers = { "x-ostinato": "page" };
  if (body !== undefined || raw !== undefined) headers["content-type"] = type;
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const send = () => fetch(path, { method: method ?? (content === undefined ? "GET" : "POST"), body: content,
    headers: token() ? { ...headers, authorization: `Bearer ${token()}` } : headers });
  let answer;
  try {
    answer = await send();
    if (answer.status === 401 && !token() && await askTabs()) answer = await send();
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
