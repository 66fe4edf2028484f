import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { selfTestInterval } from "#pkg/config";
import { type Asker, type Layer2, maxQuestions } from "#pkg/layer2";
import { SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import type { AddressPlacement } from "#pkg/placement";
import type { SpeakerEvent, SpeakerView, WireTest } from "./core/index.ts";
import { linkFor } from "./prober.ts";

export interface SelfTestOptions {
  readonly view: SpeakerView;
  readonly layer2: Pick<Layer2, "interfaces">;
  readonly asker: Pick<Asker, "ask">;
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
  readonly log: Log;
}

const turnMs: Millis = 1_000;
// Limit of placements in one turn, which takes a millisecond or two.
const maxLooked = 2_000;

/**
 * Tries addresses of pools with a self-test that other nodes announce, those that this node is to try: a part of them each second, so that
 * each has its turn once in the pool's interval. All are looked at in rounds of the shortest interval of any pool; one with a longer interval has its turn in
 * some of the rounds. With more than 100 a second the interval becomes longer. A failed test is repeated in the
 * next turn.
 */
export class SelfTest implements Disposable {
  readonly #options: SelfTestOptions;
  readonly #alarm: Alarm;
  #placements: Iterator<readonly AddressPlacement[], undefined> | undefined; // The rest of a round through all.
  #round = 0n;
  #share = 0; // Number of placements to look at now; a fraction, because it grows with time.
  #hasFailed = false;
  #isDisposed = false;
  #tried = 0;

  constructor(options: SelfTestOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "self-test", () => void this.#turn());
  }

  start(): void {
    this.#alarm.set(this.#options.clock.now() + turnMs);
  }

  /** How often an address was tried since the start. */
  get tried(): number {
    return this.#tried;
  }

  /** A turn under way ends without effect. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#alarm[Symbol.dispose]();
  }

  async #turn(): Promise<void> {
    const { clock } = this.#options;
    const next = clock.now() + turnMs;
    const tests = this.#due();
    if (tests.length > 0) await this.#try(tests);
    if (!this.#isDisposed) this.#alarm.set(Math.max(next, clock.now()));
  }

  #due(): readonly WireTest[] {
    const { view } = this.#options;
    const interval = Math.min(...view.pools.map(selfTestInterval));
    if (interval === Infinity) return [];
    const tests = new Map(view.openFaults().map((test) => [test.address.toString(), test]));
    this.#share = Math.min(this.#share + view.placedCount / (interval / turnMs), maxLooked);
    for (; this.#share >= 1 && tests.size < maxQuestions; this.#share--) {
      this.#placements ??= this.#nextRound();
      const { value } = this.#placements.next();
      if (value === undefined) {
        this.#placements = undefined; // From the first one on in the next turn.
        break;
      }
      for (const test of value.flatMap((placement) => view.wireTest(placement) ?? []))
        if (this.#isInTurn(test, interval)) tests.set(test.address.toString(), test);
    }
    return [...tests.values()].slice(0, maxQuestions);
  }

  #nextRound(): ReturnType<SpeakerView["placements"]> {
    this.#round++;
    return this.#options.view.placements();
  }

  /** Neighbors have their turns in different rounds. */
  #isInTurn({ address }: WireTest, shortest: Millis): boolean {
    const pool = this.#options.view.poolOf(address);
    const rounds = pool === undefined ? 1 : Math.max(1, Math.floor(selfTestInterval(pool) / shortest));
    return (this.#round + address.value) % BigInt(rounds) === 0n;
  }

  async #try(tests: readonly WireTest[]): Promise<void> {
    const { asker, emit, log } = this.#options;
    const links = Map.groupBy(tests, ({ address }) => linkFor(address, this.#options));
    for (const [link, those] of links) {
      if (link === undefined) continue; // Another interface is about to be, or the address of this one has gone.
      try {
        const answers = await asker.ask(link, those);
        if (this.#isDisposed) return;
        for (const test of those) {
          const answer = answers.get(test);
          if (answer === undefined) continue;
          this.#tried++;
          emit({ type: "wireTested", tested: { ...test, interface: link.name, answer } });
        }
        this.#hasFailed = false;
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        if (!this.#hasFailed) log.warn("addresses cannot be tried on the wire", { op: "selfTest", interface: link.name, error });
        this.#hasFailed = true;
      }
    }
  }
}
