import type { Clock, Millis, Random } from "#pkg/clock";
import { ApiError, type Cluster } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import { RetriedTask } from "./retried-task.ts";

export interface MemberlistSecretOptions {
  readonly cluster: Pick<Cluster, "fillSecret">;
  readonly namespace: string;
  readonly name: string;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const drainMs = 1_000;
const lookEveryMs: Millis = 30_000; // By filling it: that needs no right to read or watch Secrets.
const keyBytes = 16; // AES-128, as MetalLB makes it; speakers take the key from this text.

/**
 * Puts the key of the speakers' ring into its Secret, whenever that is empty. The Secret itself is one of the manifests' objects: a right to create
 * Secrets would be a right to make tokens of other service accounts. The API refusing it is no reason to stop giving addresses: it is tried again.
 */
export class MemberlistSecret implements AsyncDisposable {
  readonly #options: MemberlistSecretOptions;
  readonly #task: RetriedTask;
  #last: string | undefined;

  constructor(options: MemberlistSecretOptions) {
    this.#options = options;
    const { clock, random } = options;
    this.#task = new RetriedTask({ work: () => this.#fill(), clock, random });
  }

  start(): void {
    this.#task.request();
  }

  /** A request under way gets 1 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#task.close(this.#options.clock.now() + drainMs);
  }

  async #fill(): Promise<Millis | "retry"> {
    const { cluster, namespace, name, randomBytes, clock } = this.#options;
    const log = this.#options.log.with({ op: "fillMemberlistSecret", secret: name });
    try {
      const secretkey = Buffer.from(randomBytes(keyBytes)).toString("base64").replace(/=+$/, "");
      const result = await cluster.fillSecret(namespace, name, { secretkey });
      if (result === "filled") log.info("key of the speakers' ring made");
      this.#last = result;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 403 && error.status !== 404) {
        log.error("failed to fill the memberlist secret", { error });
        return "retry";
      }
      // Until somebody changes that it stays so; and where the Secret has a key, as MetalLB's has, nothing is amiss.
      const advice = "apply the manifests again: the Secret and the right to fill it are among them";
      if (this.#last !== `${error.status}`) log.warn("cannot make the key of the speakers' ring", { error, advice });
      this.#last = `${error.status}`;
    }
    return clock.now() + lookEveryMs;
  }
}
