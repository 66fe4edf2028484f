import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Log } from "#pkg/log";

// An `import` of node:http reads all that it exports. One of these is `WebSocket`, for which Node loads its `fetch`: 14 MB unused.
const { createServer } = process.getBuiltinModule("node:http");

/** What a path answers. */
export interface Route {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}
export type Routes = Readonly<Record<string, () => Route | Promise<Route>>>; // path -> answer

export interface HttpServer extends AsyncDisposable {
  /** The port in use; that of the operating system's choice if 0 was asked for. */
  readonly port: number;
}

/** Listens on `host` (empty: every address) and `port`. @throws {Error} that names the address, when it cannot be listened on */
export async function serve(options: { host: string; port: number; routes: Routes; log: Log }): Promise<HttpServer> {
  const { host, port, routes, log } = options;
  const server = createServer((request, response) => {
    answer(request, response, routes).catch((error: unknown) => {
      log.error("request failed", { op: "http", path: request.url, error });
      if (!response.headersSent) send(response, { status: 500, contentType: "text/plain", body: "internal error\n" });
      else response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(`Cannot listen for HTTP on ${host || "*"}:${port}`, { cause })));
    server.listen({ port, ...(host === "" ? {} : { host }) }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, routes: Routes): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    return send(response, { status: 405, contentType: "text/plain", body: "method not allowed\n" });
  }
  const path = (request.url ?? "").split("?")[0] ?? "";
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return send(response, { status: 404, contentType: "text/plain", body: "not found\n" });
  send(response, await route());
}

function send(response: ServerResponse, { status, contentType, body }: Route): void {
  response.writeHead(status, { "Content-Type": contentType, "Content-Length": Buffer.byteLength(body) }).end(body);
}
