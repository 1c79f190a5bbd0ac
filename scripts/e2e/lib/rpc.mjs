// JSON-RPC and REST without a library in between, so that what is seen is what was sent.

const ANSWER_MS_MAX = 10_000;

/** Posts a body as it is and returns status, headers and parsed answer. */
export async function post(url, body, headers = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = text;
  }
  return { status: response.status, headers: response.headers, answer };
}

/** What a node answered with an error, as against not at all. */
export class RpcError extends Error {
  constructor(method, { code, message, data }) {
    super(`${method}: ${message} (${code})`);
    Object.assign(this, { code, data, said: message });
  }
}

let id = 0;

/** One call; throws `RpcError` on an error answer. */
export async function rpc(url, method, ...params) {
  const { answer } = await post(url, { jsonrpc: "2.0", id: ++id, method, params });
  if (answer.error) throw new RpcError(method, answer.error);
  return answer.result;
}

/** The error of a call that has to fail. */
export async function rpcError(url, method, ...params) {
  try {
    await rpc(url, method, ...params);
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error(`${method}(${JSON.stringify(params)}) was answered, and should not have been`);
}

/** GET of an attester's REST interface. */
export async function get(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** Height of the newest block under a tag. */
export async function height(url, tag = "latest") {
  const block = await rpc(url, "eth_getBlockByNumber", tag, false);
  return Number(block.number);
}
