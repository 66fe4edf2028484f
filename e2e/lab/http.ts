import { request } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** GET over a connection of its own. @throws {Error} when connecting fails or `timeout` milliseconds pass */
export async function get(
  url: string,
  connect: (address: string, port: number) => Promise<Socket>,
  timeout: number,
): Promise<HttpAnswer> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const late = new AbortController();
  const timer = setTimeout(() => {
    reject(new Error(`Cannot get ${url}: no answer within ${timeout} ms`));
    late.abort();
  }, timeout);
  const send = (socket: Socket): void => {
    if (late.signal.aborted) {
      socket.destroy();
      return;
    }
    request(url, { createConnection: () => socket, signal: late.signal })
      .on("response", (response) => {
        text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
      })
      .on("error", reject)
      .end();
  };
  connect(hostname.replace(/^\[|\]$/g, ""), Number(port || 80)).then(send, reject);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
