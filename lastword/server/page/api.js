// Requests to the server that this page came from, and to no other.

const KEY = "lastword.key"; // in sessionStorage: it goes with the tab

/** What the server refused: `status` 0 is that it cannot be reached. */
export class ApiError extends Error {
  constructor(status, text, wait = 0) {
    super(text);
    this.status = status;
    this.wait = wait; // seconds until another try makes sense
  }
}

export function setKey(key) {
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    kept = key;
  }
}
let kept = ""; // where storage is forbidden

export function getKey() {
  try {
    return sessionStorage.getItem(KEY) ?? kept;
  } catch {
    return kept;
  }
}

async function ask(path, options = {}) {
  const key = getKey();
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let answer;
  try {
    answer = await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached.");
  }
  const body = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return {};
  });
  if (answer.ok) return body;
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  throw new ApiError(answer.status, body.error ?? `The server answers ${answer.status}.`, wait);
}

const post = (path, body, signal) =>
  ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });

export const listIndexes = () => ask("v1/indexes");
export const checkHealth = () => ask("health");
export const search = (choice, k, signal) =>
  post("v1/search", { ...choice, k, shares: true, words: true }, signal);
export const explain = (choice, id, signal) => post("v1/explain", { ...choice, id }, signal);
export const getDocument = (id, index, signal) =>
  ask(`v1/documents?${new URLSearchParams({ id, index })}`, { signal });
