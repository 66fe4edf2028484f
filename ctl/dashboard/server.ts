import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { UsageError } from "../command.ts";
import { admit, securityHeaders } from "./access.ts";
import type { PageFiles } from "./bundle.ts";
import type { Model } from "./model/rows.ts";
import { Streams } from "./stream.ts";

/** A question that the page asks, beside what it is shown. @throws {UsageError} where the question is at fault */
export type PageQuestion = (query: URLSearchParams) => Promise<object>;

export interface DashboardOptions {
  /** 0: one that is free. */
  readonly port: number;
  readonly files: PageFiles;
  readonly questions: Readonly<Record<string, PageQuestion>>; // path -> answer
}

export interface DashboardServer extends AsyncDisposable {
  /** URL of the page, with the token without which nothing is answered. */
  readonly url: string;
  show(model: Model): void;
}

const maxConnections = 32;
const maxStreams = 6; // A browser opens this many to one server.
const maxQuestions = 8; // At a time: each of them may ask all processes of the cluster.
const headMs = 5_000;
const keepAliveMs = 15_000;

/**
 * Serves the page on loopback alone. `access.ts` has the allowed requests and clients.
 * @throws {UsageError} where the port is in use
 */
export async function serveDashboard({ port: wanted, files, questions }: DashboardOptions): Promise<DashboardServer> {
  const token = randomBytes(16).toString("hex");
  const streams = new Streams();
  let underway = 0;
  const server = createServer({ headersTimeout: headMs, requestTimeout: headMs }, (request, response) => {
    const { port } = server.address() as AddressInfo;
    const path = admit(request, { port, token });
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
    if (typeof path !== "string") return send(request, response, path.status, "text/plain", `${path.why}\n`);
    const { pathname, searchParams } = new URL(`http://localhost${path}`);
    const file = files.get(pathname);
    if (file !== undefined) return send(request, response, 200, file.contentType, file.body);
    if (pathname === "/stream") {
      if (streams.size >= maxStreams) return send(request, response, 503, "text/plain", "too many pages are open\n");
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      return streams.add(response);
    }
    const question = Object.hasOwn(questions, pathname) ? questions[pathname] : undefined;
    if (question === undefined) return send(request, response, 404, "text/plain", "not found\n");
    if (underway >= maxQuestions) return send(request, response, 503, "text/plain", "too many questions at once\n");
    underway++;
    void answer(question, searchParams)
      .then(({ status, body }) => send(request, response, status, "application/json", `${JSON.stringify(body)}\n`))
      .finally(() => underway--);
  });
  server.maxConnections = maxConnections;
  await listen(server, wanted);
  const timer = setInterval(() => streams.keepAlive(), keepAliveMs);
  timer.unref();
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${token}/`,
    show: (model) => streams.show(model),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      streams[Symbol.dispose]();
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen({ host: "127.0.0.1", port });
  try {
    await once(server, "listening");
  } catch (error) {
    throw new UsageError(`cannot serve the dashboard on port ${port}: ${(error as Error).message}`, { cause: error });
  }
}

async function answer(
  question: PageQuestion,
  query: URLSearchParams,
): Promise<{ readonly status: number; readonly body: object }> {
  try {
    return { status: 200, body: await question(query) };
  } catch (error) {
    return { status: error instanceof UsageError ? 400 : 502, body: { problem: (error as Error).message } };
  }
}

function send(request: IncomingMessage, response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { "Content-Type": `${contentType}; charset=utf-8`, "Content-Length": Buffer.byteLength(body) });
  response.end(request.method === "HEAD" ? undefined : body);
}
