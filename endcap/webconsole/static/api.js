// What the page asks the console for.

export class Failure extends Error {
  constructor(code, message, field = null) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

export const setup = () => get("/api/setup");
export const traffic = () => get("/api/traffic");
export const suggest = (typed, signal) => get(`/api/suggest?q=${encodeURIComponent(typed)}`, signal);
export const feedback = (event) => post("/api/feedback", event);

// One entry for each column: an answer, or a Failure.
export async function search(columns, signal) {
  const { columns: answers } = await post("/api/search", { columns }, signal);
  return answers.map(({ answer, error }) => answer ?? new Failure(error.code, error.message, error.field));
}

function get(path, signal) {
  return call(path, { signal });
}

function post(path, body, signal) {
  return call(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
  });
}

async function call(path, options) {
  let response, document;
  try {
    response = await fetch(path, options);
    document = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("console", String(error.message ?? error));
  }
  if (!response.ok) {
    const { code = "console", message = response.statusText, field = null } = document.error ?? {};
    throw new Failure(code, message, field);
  }
  return document;
}
