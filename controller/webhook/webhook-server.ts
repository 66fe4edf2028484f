import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { createServer, type Server } from "node:net";
import type { Certificate } from "#pkg/certificate";
import { Alarm, type Allowance, type Clock, type Millis, Tokens } from "#pkg/clock";
import { SerialQueue } from "#pkg/collections";
import { backlog, Regulars, ServerGate } from "#pkg/connections";
import type { Log } from "#pkg/log";
import { parseAddress } from "#pkg/net";
import { octetsUpTo } from "#pkg/untrusted";
import { type AdmissionRequest, type AdmissionVerdict, answerReview, readReview } from "./admission.ts";
import { Connections } from "./connections.ts";
import { reviewPath } from "./review-path.ts";

export interface WebhookServerOptions {
  readonly port: number;
  /** @param deadline when the API server should have the answer */
  readonly review: (request: AdmissionRequest, deadline: Millis) => Promise<AdmissionVerdict>;
  readonly log: Log;
  readonly clock: Clock;
}

/** Limits of what the API server asks. Others do not know the path, and are not read beyond it. */
export const webhookLimits: { readonly answerMs: Millis; readonly bodyBytes: number; readonly reviews: Allowance } = {
  /** From a request to its answer: the API server waits for `timeoutSeconds` of the manifest, 3 s. */
  answerMs: 2_000,
  /** Two ConfigMaps of 1 MiB each, with every character escaped. */
  bodyBytes: 8 << 20,
  reviews: { burst: 4, everyMs: 1_000 },
};

// Another program may have the port.
const retryMs: Millis = 10_000;

/** Answers admission reviews over HTTPS, once there is a certificate. */
export class WebhookServer implements AsyncDisposable {
  readonly #options: WebhookServerOptions;
  readonly #regulars: Regulars;
  readonly #gate: ServerGate;
  readonly #connections: Connections;
  readonly #reviews: Tokens;
  readonly #retry: Alarm;
  #https: HttpsServer | undefined;
  #listener: Server | undefined;
  #paths: readonly string[] = []; // Paths of the certificate in use, and of the former one: the API server may not know the change yet.
  readonly #reviewing = new SerialQueue();

  constructor(options: WebhookServerOptions) {
    const { clock, log } = options;
    this.#options = options;
    this.#regulars = new Regulars(clock, "");
    this.#gate = new ServerGate({
      clock,
      log,
      op: "webhook",
      advice: "look who connects to this port: only the API server has to reach it",
      known: this.#regulars,
    });
    this.#connections = new Connections(clock);
    this.#retry = new Alarm(clock, "webhook", () => this.#listen());
    this.#reviews = new Tokens(webhookLimits.reviews, clock.now());
  }

  /** The port in use; undefined without a certificate. */
  get port(): number | undefined {
    const address = this.#listener?.address();
    return typeof address === "object" ? address?.port : undefined;
  }

  /** From now on this one is shown. */
  setCertificate({ certificate: cert, key }: Certificate): void {
    this.#paths = [reviewPath(key), ...this.#paths.slice(0, 1)];
    if (this.#https === undefined) this.#start({ cert, key });
    else this.#https.setSecureContext({ cert, key });
  }

  #start(shown: { readonly cert: string; readonly key: string }): void {
    const { log, clock } = this.#options;
    const https = createHttpsServer(
      { ...shown, minVersion: "TLSv1.2" },
      (request, response) => void this.#answer(request, response),
    );
    this.#https = https;
    const listener = createServer((socket) => {
      const source = this.#gate.admit(socket);
      if (source === undefined) return;
      const from = `${source}`;
      if (this.#connections.admit(socket, from, this.#regulars.has(from))) https.emit("connection", socket);
    });
    this.#listener = listener;
    listener.on("error", (error) => {
      log.error("cannot answer admission reviews", { op: "webhook", error });
      if (!listener.listening) this.#retry.set(clock.now() + retryMs);
    });
    listener.on("listening", () => {
      this.#gate.add(listener);
      log.info("answering admission reviews", { op: "webhook", port: this.port });
    });
    this.#listen();
  }

  #listen(): void {
    this.#listener?.listen({ port: this.#options.port, backlog });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const listener = this.#listener;
    this.#gate[Symbol.dispose]();
    this.#retry[Symbol.dispose]();
    if (listener === undefined) return;
    this.#connections[Symbol.dispose]();
    await new Promise((resolve) => listener.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { log, clock } = this.#options;
    const deadline = clock.now() + webhookLimits.answerMs;
    const end = (status: number, body: string, type = "text/plain") => {
      response.writeHead(status, { "content-type": type, connection: "close" }).end(body);
    };
    try {
      const path = request.url?.split("?")[0] ?? "";
      if (request.method !== "POST" || !this.#paths.includes(path))
        return end(404, "reviews are asked for on the path that the webhook's configuration names\n");
      const from = parseAddress(request.socket.remoteAddress ?? "");
      if (from !== undefined) this.#regulars.note(`${from}`);
      if (!this.#reviews.take(clock.now())) return end(429, "too many reviews\n");
      const body = await octetsUpTo(request, webhookLimits.bodyBytes);
      if (body === undefined) return end(413, `more than ${webhookLimits.bodyBytes} octets\n`);
      const asked = readReview(`${body}`);
      if (asked === undefined) return end(400, "no AdmissionReview\n");
      const answer = await this.#reviewing.run(() => this.#options.review(asked, deadline));
      end(200, answerReview(asked.uid, answer), "application/json");
    } catch (error) {
      if (request.destroyed && !request.complete) return; // The client has gone.
      log.error("cannot answer an admission review", { op: "webhook", error });
      if (!response.headersSent) end(500, "failed\n");
    }
  }
}
