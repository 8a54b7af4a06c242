// Requests to our own server. Those that change something carry the header that it asks for.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Send a request and return its JSON; an answer that is no success is thrown with its sentence. */
export async function ask(method, path, body) {
  const headers = method === "GET" ? {} : { "X-Nightstack": "1", "Content-Type": "application/json" };
  const answer = await fetch(`/api${path}`, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(() => { throw new Refused(0, "The server does not answer. Is it still running?"); });
  if (!answer.ok) throw await refused(answer);
  return answer.status === 204 ? null : answer.json();
}

async function refused(answer) {
  const told = await answer.json().catch(() => ({}));
  return new Refused(answer.status, told.error || `The server answered ${answer.status}.`);
}

/** Upload a file; `progress(bytes sent)`. Returns {done: promise of the night, stop()}. */
export function upload(file, progress) {
  const request = new XMLHttpRequest(); // fetch cannot tell how much was sent
  const done = new Promise((resolve, reject) => {
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch { /* no JSON: said below */ }
      if (request.status === 201) resolve(told);
      else reject(new Refused(request.status, told.error || `The server answered ${request.status}.`));
    };
    request.onerror = () => reject(new Refused(0, "The upload was refused or cut off."));
    request.onabort = () => reject(new Refused(0, "The upload was stopped."));
  });
  request.open("POST", `/api/nights?name=${encodeURIComponent(file.name)}`);
  request.setRequestHeader("X-Nightstack", "1");
  request.send(file);
  return { done, stop: () => request.abort() };
}

/** Fetch a stretch of signals: {key: {values: Int16Array, width, from_s, step_s}}. */
export async function stretch(id, keys, fromS, toS, columns, signal) {
  const query = new URLSearchParams({ keys: keys.join(","), from_s: fromS, to_s: toS, columns });
  const answer = await fetch(`/api/nights/${id}/signals?${query}`, { signal });
  if (!answer.ok) throw await refused(answer);
  const buffer = await answer.arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const found = {};
  let offset = 4 + length;
  for (const piece of head.signals) {
    found[piece.key] = { ...piece, values: new Int16Array(buffer, offset, piece.count) };
    offset += 2 * piece.count;
  }
  return found;
}
