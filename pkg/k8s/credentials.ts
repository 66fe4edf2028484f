import { readFile } from "node:fs";
import { type Agent, type AgentOptions, Agent as HttpAgent, type OutgoingHttpHeaders } from "node:http";
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions } from "node:https";
import type { Socket } from "node:net";
import { createSecureContext } from "node:tls";
import { promisify } from "node:util";
import type { Clock, Millis } from "#pkg/clock";
import type { Log } from "#pkg/log";
import type { Access, Material } from "./access.ts";
import { ApiError } from "./errors.ts";
import { ExecPlugin } from "./exec-plugin.ts";

/** The identity that a request is sent with. */
export interface Identity {
  readonly agent: Agent;
  readonly headers: OutgoingHttpHeaders;
}

// The interval of client-go: a service account's token is replaced in its file long before it expires.
const rereadAfterMs = 60_000;
// A server that refuses everybody must not make each refused request run the exec plugin again.
const minRereadMs = 5_000;

/** Turns an `Access` into what requests need, and keeps that fresh: tokens, certificates and plugins are read again as they age. */
export class Credentials implements Disposable {
  readonly #access: Access;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #plugin: ExecPlugin | undefined;
  #identity: Identity | undefined;
  #readAt: Millis = 0;
  #stale = true;
  #reading: Promise<Identity> | undefined;
  #agent: Agent | undefined;
  #agentOptions = ""; // what #agent was made from
  #failing = false;

  constructor(access: Access, options: { clock: Clock; log: Log }) {
    this.#access = access;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#plugin = access.exec === undefined ? undefined : new ExecPlugin(access, options.clock);
  }

  /** The identity, if it need not be read again. */
  get fresh(): Identity | undefined {
    const age = this.#clock.now() - this.#readAt;
    return !this.#stale && age < rereadAfterMs ? this.#identity : undefined;
  }

  /** @throws {ApiError} status 0, when they cannot be had and never could; else the last good ones stay in use */
  async current(): Promise<Identity> {
    const { fresh } = this;
    if (fresh !== undefined) return fresh;
    this.#reading ??= this.#refresh().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** To be called when the server does not know us by what was `used` (401). @returns whether there is a point in asking it once more */
  expire(used: Identity | undefined): boolean {
    if (used !== undefined && used !== this.#identity) return true; // Another request found that out before.
    if (this.#clock.now() - this.#readAt < minRereadMs) return false;
    this.#plugin?.forget(); // Its token may have been revoked long before it expires.
    this.#stale = true;
    return true;
  }

  [Symbol.dispose](): void {
    this.#agent?.destroy();
  }

  async #refresh(): Promise<Identity> {
    try {
      this.#identity = await this.#read();
      this.#failing = false;
    } catch (cause) {
      const error = new ApiError(`Cannot read credentials from ${this.#access.origin}`, 0, "Unreachable", { cause });
      if (this.#identity === undefined) throw error;
      if (!this.#failing) this.#log.warn("cannot read credentials again, the last ones stay in use", { error });
      this.#failing = true;
    }
    this.#stale = false;
    this.#readAt = this.#clock.now();
    return this.#identity;
  }

  async #read(): Promise<Identity> {
    const access = this.#access;
    const [ca, cert, key, token] = await Promise.all([access.authority, access.certificate, access.key, access.token].map(bytes));
    const written = token?.toString("utf8").trim();
    if (written === "") throw new Error("Cannot use token: its file is empty"); // Without one the server takes us for anybody.
    const tls: HttpsAgentOptions = {
      ...(ca && { ca }),
      ...(access.serverName !== undefined && { servername: access.serverName }),
      rejectUnauthorized: !access.skipVerify,
    };
    const plugin = await this.#plugin?.credentials();
    const clientCert = plugin?.certificate ?? cert;
    const clientKey = plugin?.key ?? key;
    return {
      agent: this.#agentFor({ ...tls, ...(clientCert && { cert: clientCert }), ...(clientKey && { key: clientKey }) }),
      headers: { ...authorization(access, plugin?.token ?? written), ...copied(access.impersonate) },
    };
  }

  /** The same agent, with its open connections, as long as the certificates are the same; a replaced one finishes its requests. */
  #agentFor(tls: HttpsAgentOptions): Agent {
    const written = JSON.stringify(tls);
    if (this.#agent === undefined || written !== this.#agentOptions) {
      this.#agent = newAgent(this.#access, tls);
      this.#agentOptions = written;
    }
    return this.#agent;
  }
}

/** @throws {Error} for a certificate and a key that do not belong together, as while they are replaced */
function newAgent({ server, proxy }: Access, tls: HttpsAgentOptions): Agent {
  const options: AgentOptions = {
    keepAlive: true,
    scheduling: "lifo", // So that the connections of a burst fall idle, and the server closes them.
    ...(proxy !== undefined && { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }),
  };
  const isSecure = server.protocol === "https:";
  const agent = isSecure
    ? new HttpsAgent({ ...tls, ...options, secureContext: createSecureContext(tls) })
    : new HttpAgent(options);
  // All its connections are alike. Node would join the whole TLS material into a name, for each request.
  agent.getName = () => "api";
  // Each connection has its keep-alive from when it was opened (`http.ts`). Node would set another one each time a request is done.
  agent.keepSocketAlive = (socket) => {
    (socket as Socket).unref();
    return true;
  };
  return agent;
}

const read = promisify(readFile); // The functions of node:fs/promises come with a directory watcher and a terminal.

async function bytes(material: Material | undefined): Promise<Buffer | undefined> {
  if (material === undefined) return undefined;
  return "data" in material ? material.data : read(material.file);
}

function authorization(access: Access, token: string | undefined): OutgoingHttpHeaders {
  if (token) return { authorization: `Bearer ${token}` };
  if (access.basic === undefined) return {};
  const { username, password } = access.basic;
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` };
}

function copied(headers: Access["impersonate"]): OutgoingHttpHeaders {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === "string" ? value : [...value]]),
  );
}
