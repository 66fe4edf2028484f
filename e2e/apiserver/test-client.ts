import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { createInterface, type Interface } from "node:readline";
import type { Json, JsonObject } from "./json.ts";
import type { ApiServer } from "./server.ts";

export interface Answer {
  readonly code: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: JsonObject;
}

export interface ClientOptions {
  /** A bearer token instead of the administrator's certificate; "none" for neither. */
  readonly token?: string;
}

/** Plain requests over TLS, as the tests of this package make them. Nothing is retried. */
export class TestClient implements Disposable {
  readonly #url: string;
  readonly #agent: Agent;
  readonly #headers: Record<string, string>;

  constructor(server: ApiServer, { token }: ClientOptions = {}) {
    const credential = token === undefined ? server.clientCertificate("admin", ["system:masters"]) : undefined;
    this.#url = server.url;
    this.#agent = new Agent({
      ca: server.caCertificate,
      keepAlive: true,
      ...(credential === undefined ? {} : { cert: credential.certificate, key: credential.key }),
    });
    this.#headers = token === undefined || token === "none" ? {} : { authorization: `Bearer ${token}` };
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("GET", path, undefined, headers);
  }

  post(path: string, body: Json): Promise<Answer> {
    return this.send("POST", path, body, { "content-type": "application/json" });
  }

  put(path: string, body: Json): Promise<Answer> {
    return this.send("PUT", path, body, { "content-type": "application/json" });
  }

  delete(path: string, body?: Json): Promise<Answer> {
    return this.send("DELETE", path, body, { "content-type": "application/json" });
  }

  /** `type`: "merge", "json", "strategic" or "apply". */
  patch(path: string, type: "merge" | "json" | "strategic" | "apply", body: Json): Promise<Answer> {
    const types = {
      merge: "application/merge-patch+json",
      json: "application/json-patch+json",
      strategic: "application/strategic-merge-patch+json",
      apply: "application/apply-patch+yaml",
    };
    return this.send("PATCH", path, body, { "content-type": types[type] });
  }

  async send(method: string, path: string, body?: Json, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await this.#open(method, path, body === undefined ? undefined : JSON.stringify(body), headers);
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
    return { code: response.statusCode ?? 0, headers: response.headers, body: isJson ? JSON.parse(text) : { text } };
  }

  /** Opens a watch; `path` has the query. */
  async watch(path: string, headers: Record<string, string> = {}): Promise<TestWatch> {
    return new TestWatch(await this.#open("GET", path, undefined, headers));
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #open(method: string, path: string, body: string | undefined, headers: Record<string, string>): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) }; // Node adds none to a DELETE.
    const options = { method, agent: this.#agent, headers: { ...this.#headers, ...headers, ...length } };
    request(`${this.#url}${path}`, options, resolve).on("error", reject).end(body);
    return promise;
  }
}

/** The events of one watch, in order. */
export class TestWatch implements Disposable {
  readonly #response: IncomingMessage;
  readonly #lines: Interface;
  readonly #iterator: AsyncIterator<string>;

  constructor(response: IncomingMessage) {
    this.#response = response;
    response.on("error", () => {}); // A connection that is cut ends the watch; that is all a test needs to know.
    this.#lines = createInterface(response);
    this.#iterator = this.#lines[Symbol.asyncIterator]();
  }

  /** The next event; undefined at the end of the stream. */
  async next(): Promise<{ type: string; object: JsonObject } | undefined> {
    const { value, done } = await this.#iterator.next();
    return done ? undefined : JSON.parse(value);
  }

  /** The next `count` events as `TYPE name`. */
  async take(count: number): Promise<string[]> {
    const texts: string[] = [];
    for (let i = 0; i < count; i++) {
      const event = await this.next();
      const metadata = event?.object.metadata as JsonObject | undefined;
      texts.push(event === undefined ? "END" : `${event.type} ${String(metadata?.name ?? "")}`.trim());
    }
    return texts;
  }

  [Symbol.dispose](): void {
    this.#lines.close();
    this.#response.destroy();
  }
}
