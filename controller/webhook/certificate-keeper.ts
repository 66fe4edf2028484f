import { type Certificate, expiresWithin, selfSigned } from "#pkg/certificate";
import type { Clock, Millis, Random } from "#pkg/clock";
import { ApiError, type Cluster, type Informer, named, resources, type Secret, type WebhookClient } from "#pkg/k8s";
import type { LeaderElector } from "#pkg/leader-election";
import type { Log } from "#pkg/log";
import { RetriedTask } from "../retried-task.ts";
import { reviewPath } from "./review-path.ts";
import type { WebhookServer } from "./webhook-server.ts";

export interface CertificateKeeperOptions {
  readonly cluster: Pick<Cluster, "informer" | "writeSecret" | "webhookClients" | "writeWebhookClients">;
  readonly namespace: string;
  /** Name of the Secret, and of the Service by which the API server asks. */
  readonly name: string;
  /** Name of the ValidatingWebhookConfiguration. */
  readonly configuration: string;
  /** This process is the one that writes. */
  readonly elector: Pick<LeaderElector, "isLeader">;
  /** Shows the certificate. */
  readonly server: Pick<WebhookServer, "setCertificate">;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly log: Log;
  readonly clock: Clock;
  readonly wallClock: () => Date;
  readonly random: Random;
}

const dayMs: Millis = 86_400_000;
const validMs: Millis = 365 * dayMs;
const renewMs: Millis = 60 * dayMs; // Before its end: the cluster may be off for some weeks.
const earlierMs: Millis = dayMs; // Clocks differ.
const lookEveryMs: Millis = 60_000;
const standbyMs: Millis = 2_000; // Until a new leader looks.
const shownMs: Millis = 5_000; // Until all controllers show a new certificate.
const drainMs = 1_000;

const keys = { certificate: "tls.crt", key: "tls.key" } as const;

/**
 * Keeps a certificate in a Secret, for all controllers, and tells the API server by the webhook's `caBundle` to trust it, and by its path where
 * to ask. A new one is trusted beside the old one before it is shown, and the path follows when it is. All is looked at every minute, so that
 * what others change or delete is put right.
 */
export class CertificateKeeper implements AsyncDisposable {
  readonly #options: CertificateKeeperOptions;
  readonly #task: RetriedTask;
  readonly #informer: Informer<Secret>;
  #current: Certificate | undefined;
  #shown: Certificate | undefined; // The last one that was good: also where the Secret is gone, or has something else.
  #hasWebhook = false;

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    const { cluster, namespace, name, clock, random } = options;
    this.#task = new RetriedTask({ work: () => this.#work(), clock, random });
    this.#informer = cluster.informer(resources.secrets, named(namespace, name), {
      changed: (_key, now) => this.#seen(now?.data),
      synced: () => this.#task.request(),
    });
  }

  start(): void {
    this.#informer.start();
  }

  /** A request under way gets 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#informer[Symbol.dispose]();
    await this.#task.close(this.#options.clock.now() + drainMs);
  }

  #seen(data: Readonly<Record<string, string>> | undefined): void {
    const { [keys.certificate]: certificate, [keys.key]: key } = data ?? {};
    const now = certificate === undefined || key === undefined ? undefined : { certificate, key };
    const isOther = now?.certificate !== this.#current?.certificate || now?.key !== this.#current?.key;
    this.#current = now;
    if (isOther && now !== undefined && !this.#expires(now, 0)) {
      this.#shown = now;
      this.#options.server.setCertificate(now);
    }
    if (this.#informer.synced) this.#task.request();
  }

  #names(): [string, ...string[]] {
    const { name, namespace } = this.#options;
    return [`${name}.${namespace}.svc`];
  }

  #expires(certificate: Certificate, ms: Millis): boolean {
    return expiresWithin(certificate, this.#names(), this.#options.wallClock(), ms);
  }

  async #work(): Promise<Millis | "retry"> {
    const { elector, clock, log } = this.#options;
    if (!elector.isLeader) return clock.now() + standbyMs;
    try {
      if (this.#current !== undefined && !this.#expires(this.#current, renewMs)) {
        await this.#tell(this.#current);
        return clock.now() + lookEveryMs;
      }
      await this.#renew();
      return clock.now() + shownMs;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.error("cannot keep the webhook's certificate: changes of the configuration are not checked before they are made", {
        op: "webhook",
        error,
      });
      return "retry";
    }
  }

  /** The API server goes on to trust the certificate that is shown, until there is another one: this process cannot make a Secret that is gone. */
  async #renew(): Promise<void> {
    const { cluster, namespace, name, randomBytes, wallClock, log } = this.#options;
    const now = wallClock().getTime();
    const dates = { notBefore: new Date(now - earlierMs), notAfter: new Date(now + validMs) };
    const made = selfSigned({ names: this.#names(), ...dates, serial: randomBytes(16) });
    if (this.#shown !== undefined) await this.#tell(this.#shown, made.certificate);
    await cluster.writeSecret(namespace, name, { [keys.certificate]: made.certificate, [keys.key]: made.key });
    log.info("certificate of the webhook made", { op: "webhook", secret: name, until: dates.notAfter.toISOString() });
  }

  /** Where the API server asks, and what it trusts besides; more do no harm, one that is missing does. */
  async #tell({ certificate, key }: Certificate, ...more: readonly string[]): Promise<void> {
    const { cluster, configuration, log } = this.#options;
    const clients = await cluster.webhookClients(configuration);
    if (clients === undefined && this.#hasWebhook) log.warn("there is no webhook", { op: "webhook", configuration });
    this.#hasWebhook = clients !== undefined;
    const trusted = [...new Set([certificate, ...more])];
    const wanted = { bundle: trusted.join(""), path: reviewPath(key) };
    const isRight = ({ bundle, path }: WebhookClient) =>
      trusted.every((one) => bundle.includes(one.trim())) && bundle.length <= 2 * wanted.bundle.length && path === wanted.path;
    const astray = [...(clients ?? [])].filter(([, client]) => !isRight(client)).map(([webhook]) => webhook);
    if (astray.length > 0) await cluster.writeWebhookClients(configuration, astray, wanted);
  }
}
