import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request as plainRequest } from "node:http";
import { type RequestOptions, request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { escapeControls, shorten } from "#pkg/text";
import { fields, octetsUpTo, parsed, text } from "#pkg/untrusted";
import type { Api, ApiAnswer } from "./api.ts";
import { readKubeconfig, type UserKubeconfig } from "./kubeconfig.ts";

export interface KubeApiOptions {
  /** Path of a kubeconfig; undefined: as kubectl finds it. */
  readonly kubeconfig: string | undefined;
  /** Context of the kubeconfig; undefined: the current one. */
  readonly context: string | undefined;
  /** Takes what a credential plugin says to the person; standard error when unset. */
  readonly show?: ((text: string) => void) | undefined;
  /** How long the API server may send nothing; 15 s when unset. */
  readonly silenceMs?: number;
}

const defaultSilenceMs = 15_000;
const maxListAttempts = 3;
// A busy API server says when to ask again.
const maxBusyAttempts = 10;
const maxBusySeconds = 5;
const maxAnswerBytes = 256 * 1024 * 1024;

export class KubeApi implements Api {
  readonly kubeconfig: UserKubeconfig;
  readonly #server: URL;
  readonly #silenceMs: number;

  /** @throws {UsageError} when there are no credentials, or not this context */
  constructor({ silenceMs = defaultSilenceMs, ...access }: KubeApiOptions) {
    this.#silenceMs = silenceMs;
    this.kubeconfig = readKubeconfig(access);
    this.#server = new URL(this.kubeconfig.getCurrentCluster()?.server ?? "");
  }

  get server(): string {
    return this.#server.origin;
  }

  read(path: string): Promise<ApiAnswer> {
    return this.#send("GET", path);
  }

  write(method: "POST" | "PUT" | "PATCH", path: string, object: object): Promise<ApiAnswer> {
    return this.#send(method, path, JSON.stringify(object));
  }

  async #send(method: string, path: string, content?: string, attempt = 1): Promise<ApiAnswer> {
    try {
      const options: RequestOptions = {};
      await this.kubeconfig.applyToHTTPSOptions(options);
      const base = this.#server.pathname.replace(/\/$/, "");
      const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
      const send = this.#server.protocol === "http:" ? plainRequest : request;
      const sent = send(new URL(base + path, this.#server), {
        ...options,
        method,
        headers: { ...options.headers, accept: "application/json", "content-type": contentType },
        timeout: this.#silenceMs,
      });
      const giveUp = () => sent.destroy(new Error(`no answer within ${this.#silenceMs / 1000} s`));
      sent.on("timeout", giveUp);
      const failed = new Promise<never>((_, reject) => sent.on("error", reject)); // Also in the middle of an answer.
      sent.end(content);
      // Node counts again from when TCP is connected: an API server that stands still in the handshake would take twice as long.
      const silence = setTimeout(giveUp, this.#silenceMs);
      const received = once(sent, "response").finally(() => clearTimeout(silence));
      const answered = received.then(async ([response]) => {
        const { statusCode = 0, headers } = response;
        if (statusCode === 401) this.kubeconfig.refused();
        const said = await body(response);
        const seconds = statusCode === 429 ? Number(headers["retry-after"]) : Number.NaN;
        if (Number.isNaN(seconds) || attempt === maxBusyAttempts) return answer(statusCode, said);
        await sleep(Math.min(seconds, maxBusySeconds) * 1000);
        return this.#send(method, path, content, attempt + 1);
      });
      return await Promise.race([answered, failed]);
    } catch (error) {
      return { type: "unread", why: oneLine((error as Error).message.trim() || String(error)) };
    }
  }

  async list(path: string): Promise<ApiAnswer> {
    for (let attempt = 1; ; attempt++) {
      const found = await this.#listOnce(path);
      // The API server's copy of a list expires within minutes, or when etcd is compacted; pages read so far are of no use
      // then.
      if (attempt === maxListAttempts || found.type !== "unread" || !found.why.startsWith("410 ")) return found;
    }
  }

  async #listOnce(path: string): Promise<ApiAnswer> {
    const items: unknown[] = [];
    for (let next = ""; ; ) {
      const page = await this.read(
        `${path}${path.includes("?") ? "&" : "?"}limit=500${next === "" ? "" : `&continue=${encodeURIComponent(next)}`}`,
      );
      if (page.type !== "found") return page;
      const { items: some, metadata } = page.value as { items?: unknown; metadata?: { continue?: unknown } };
      if (Array.isArray(some)) for (const item of some) items.push(item);
      const more = metadata?.continue;
      if (typeof more !== "string" || more === "" || more === next) return { type: "found", value: items };
      next = more;
    }
  }
}

async function body(response: IncomingMessage): Promise<string> {
  const octets = await octetsUpTo(response, maxAnswerBytes);
  if (octets === undefined) throw new Error(`the answer is longer than ${maxAnswerBytes} octets`);
  return octets.toString();
}

function answer(status: number, body: string): ApiAnswer {
  if (status === 404) return { type: "absent" };
  if (status === 200 || status === 201) return { type: "found", value: JSON.parse(body) };
  return { type: "unread", why: `${status} ${oneLine(text(fields(parsed(body)).message) || body)}` };
}

function oneLine(text: string): string {
  return escapeControls(shorten(text, { most: 300 }));
}
