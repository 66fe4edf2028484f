import { backOff, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import { ApiError, type Cluster, type ConfigMap } from "#pkg/k8s";
import type { Log } from "#pkg/log";

export interface ConfigMapWriterOptions {
  readonly cluster: Pick<Cluster, "writeConfigMap">;
  readonly namespace: string;
  readonly log: Log;
  /** Asked before each attempt. Where not, what waits is dropped: another process writes it. */
  readonly mayWrite: (configMap: string) => boolean;
  /** All data of a ConfigMap, after some was written into it. */
  readonly onWritten: (configMap: string, data: ConfigMap["data"]) => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** Keys that one ConfigMap is to get. */
interface Writes {
  readonly data: Map<string, string | null>; // key -> what it shall be
  /** All other keys are to go. */
  isCleared: boolean;
  /** Nothing is written before what waits for this ConfigMap is. */
  after: string | undefined;
  isWriting: boolean;
  failures: number;
  /** The last answer, where the API server refuses it. */
  refusal: string | undefined;
}

const firstRetryMs: Millis = 500;
const maxRetryMs: Millis = 30_000;
const lastingFailures = 3;
const maxRefusal = 400; // In characters.

/** Writes keys of ConfigMaps, such as who has an address, again and again until it is done. */
export class ConfigMapWriter implements Disposable {
  readonly #options: ConfigMapWriterOptions;
  readonly #writes = new Map<string, Writes>(); // ConfigMap -> what it is to get
  #isDisposed = false;

  constructor(options: ConfigMapWriterOptions) {
    this.#options = options;
  }

  /**
   * Null takes a key away.
   * @param isCleared keys that were written before this are to go
   * @param after a ConfigMap that is written first
   */
  write(configMap: string, data: Iterable<readonly [string, string | null]>, isCleared = false, after?: string): void {
    const none = { data: new Map(), isCleared: false, after: undefined, isWriting: false, failures: 0, refusal: undefined };
    const writes: Writes = this.#writes.get(configMap) ?? none;
    this.#writes.set(configMap, writes);
    writes.after = after ?? writes.after;
    if (isCleared) {
      writes.isCleared = true;
      writes.data.clear();
    }
    for (const [key, value] of data) writes.data.set(key, value);
    this.#proceed(configMap, writes);
  }

  /** Why ConfigMaps are not written, where the API server refuses that for long. */
  get refusals(): readonly string[] {
    return [...this.#writes.values()].flatMap(({ failures, refusal }) =>
      failures < lastingFailures || refusal === undefined ? [] : [refusal],
    );
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
  }

  #proceed(configMap: string, writes: Writes): void {
    if (writes.isWriting || !isPending(writes) || this.#isDisposed) return;
    const before = writes.after === undefined ? undefined : this.#writes.get(writes.after);
    if (before === undefined || !isPending(before)) void this.#flush(configMap, writes);
  }

  async #flush(configMap: string, writes: Writes): Promise<void> {
    const { cluster, namespace, log, mayWrite, onWritten, clock, random } = this.#options;
    const permitted = () => mayWrite(configMap);
    writes.isWriting = true;
    writes.after = undefined;
    try {
      if (writes.isCleared) {
        await cluster.writeConfigMap(namespace, configMap, null, permitted);
        writes.isCleared = false;
      }
      const data = Object.fromEntries(writes.data);
      if (writes.data.size > 0) onWritten(configMap, await cluster.writeConfigMap(namespace, configMap, data, permitted));
      // Where all is to be cleared by now, the same text is to be written once more.
      for (const [key, value] of Object.entries(data))
        if (!writes.isCleared && writes.data.get(key) === value) writes.data.delete(key);
      succeeded(writes);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (permitted()) {
        const level = writes.failures === 0 ? "error" : "debug"; // It may be refused for long.
        writes.refusal = isUnanswered(error) ? undefined : error.message.slice(0, maxRefusal);
        log[level]("cannot write a ConfigMap, trying again", { op: "writeConfigMap", configMap, error });
        await sleep(clock, "ConfigMap write", backOff(writes.failures++, firstRetryMs, maxRetryMs, random));
      } else {
        writes.isCleared = false;
        writes.data.clear();
        succeeded(writes); // There is nothing to write any more.
      }
    }
    writes.isWriting = false;
    this.#proceed(configMap, writes);
    if (!isPending(writes)) for (const [other, its] of this.#writes) if (its.after === configMap) this.#proceed(other, its);
  }
}

/** Whether nothing can be written, whatever it is: the node has a verdict on that. */
function isUnanswered({ status, reason }: ApiError): boolean {
  return reason === "Unreachable" || status === 429 || status === 503 || status === 504;
}

function succeeded(writes: Writes): void {
  writes.failures = 0;
  writes.refusal = undefined;
}

function isPending({ isCleared, data }: Writes): boolean {
  return isCleared || data.size > 0;
}
