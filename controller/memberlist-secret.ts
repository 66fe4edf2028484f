import type { Clock, Millis, Random } from "#pkg/clock";
import { ApiError, type Cluster } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import { type Outcome, WorkQueue } from "./work-queue.ts";

export interface MemberlistSecretOptions {
  readonly cluster: Pick<Cluster, "createSecret" | "deploymentOwner">;
  readonly namespace: string;
  readonly name: string;
  /** The Deployment that the Secret goes with; empty for none. */
  readonly deployment: string;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const drainMs = 1_000;
const lookEveryMs: Millis = 30_000; // By creating it: that needs no right to read or watch Secrets.
const keyBytes = 16; // AES-128, as MetalLB makes it; speakers take the key from this text.

/**
 * Makes the key of the speakers' ring, whenever there is none: it may be deleted, and speakers that start need it. The API refusing it is no
 * reason to stop giving addresses: it is tried again.
 */
export class MemberlistSecret implements AsyncDisposable {
  readonly #options: MemberlistSecretOptions;
  readonly #queue: WorkQueue;
  #isKnown = false;

  constructor(options: MemberlistSecretOptions) {
    this.#options = options;
    const { clock, random } = options;
    this.#queue = new WorkQueue({ work: () => this.#create(), concurrency: 1, clock, random });
  }

  start(): void {
    this.#queue.add(this.#options.name);
  }

  /** A request under way gets 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close(this.#options.clock.now() + drainMs);
  }

  async #create(): Promise<Outcome> {
    const { cluster, namespace, name, deployment, randomBytes, clock } = this.#options;
    const log = this.#options.log.with({ op: "createMemberlistSecret", secret: name });
    try {
      const owner = deployment === "" ? undefined : await cluster.deploymentOwner(namespace, deployment);
      const secretkey = Buffer.from(randomBytes(keyBytes)).toString("base64").replace(/=+$/, "");
      const result = await cluster.createSecret(namespace, name, { secretkey }, owner);
      if (result === "created" && owner === undefined)
        log.warn("memberlist secret created without an owner, it will stay when Ingot is removed", { deployment });
      else if (result === "created" || !this.#isKnown) log.info("memberlist secret exists", { result });
      this.#isKnown = true;
      return { at: clock.now() + lookEveryMs };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      log.error("failed to create the memberlist secret", { error });
      return "retry";
    }
  }
}
