import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "#e2e/lab";
import { type ProgramKind, RingProcess, type RingProcessOptions, ringAddresses } from "./ring-process.ts";

const port = 7946;
const startedAtOnce = 5;
// Where two processors have 50 members that all run for the first time what a join sets off, these do not answer one another in time.
const joinsEvery = 300; // Milliseconds.

/** A ring of `count` nodes of one kind, each a process of its own, complete when it is returned. */
export class LargeRing extends AsyncDisposableStack {
  readonly kind: ProgramKind;
  readonly nodes: RingProcess[] = [];
  readonly #address = ringAddresses();
  readonly #options: Partial<RingProcessOptions>;

  private constructor(kind: ProgramKind, options: Partial<RingProcessOptions>) {
    super();
    this.kind = kind;
    this.#options = options;
  }

  /** @throws {Error} when it is not complete within a minute of the last one's joining */
  static async start(kind: ProgramKind, size: number, options: Partial<RingProcessOptions> = {}): Promise<LargeRing> {
    const ring = new LargeRing(kind, options);
    try {
      // All run before any joins: what it takes to start a process would keep members from answering in time.
      for (let first = 0; first < size; first += startedAtOnce) {
        const numbers = Array.from({ length: Math.min(startedAtOnce, size - first) }, (_, index) => first + index);
        await Promise.all(numbers.map((number) => ring.#start(number)));
      }
      const [first, ...others] = ring.nodes;
      for (const other of others) {
        if (first !== undefined) await other.join(first);
        await sleep(joinsEvery);
      }
      await ring.complete();
      return ring;
    } catch (error) {
      await ring.disposeAsync();
      throw error;
    }
  }

  async #start(number: number): Promise<RingProcess> {
    const options = { ...this.#options, name: `node-${number}`, address: this.#address(number + 1), port };
    const node = this.use(await RingProcess.start(this.kind, options));
    this.nodes[number] = node;
    return node;
  }

  /** Waits until each node lists all of them. */
  async complete(): Promise<void> {
    for (const node of this.nodes)
      await waitFor(
        `${node.name} to list ${this.nodes.length} nodes`,
        async () => (await node.members()).length === this.nodes.length,
        { timeout: 60_000, every: 500 },
      );
  }

  /** Kills a node as a crash would. @returns milliseconds until each of the others had lost it */
  async crash(number: number): Promise<number[]> {
    const victim = this.nodes[number];
    if (victim === undefined) throw new RangeError(`Cannot crash node ${number}: there are ${this.nodes.length}`);
    const others = this.nodes.filter((node) => node !== victim);
    const from = others.map((node) => node.lines.length);
    const killedAt = (performance.timeOrigin + performance.now()) * 1000;
    await victim.kill();
    const lost = others.map((node, index) =>
      node.line("leave", { about: victim.name, from: from[index] ?? 0, timeout: 120_000 }),
    );
    return (await Promise.all(lost)).map(({ at }) => (at - killedAt) / 1000);
  }

  /** Starts a node that crashed again, with its name and address, and waits until the ring is complete. */
  async restart(number: number): Promise<void> {
    const node = await this.#start(number);
    const other = this.nodes.find((one) => one !== node);
    if (other !== undefined) await node.join(other);
    await this.complete();
  }
}
