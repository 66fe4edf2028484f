import { type Profiler, Session } from "node:inspector";

/** One run of some code: the blocks that ran, and how often. */
export interface Run {
  /** Each block that ran, together with how often, roughly: 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, or more. */
  readonly features: readonly number[];
  /** How many blocks ran, each as often as it did. The same for the same input on any machine. */
  readonly work: number;
}

const buckets = [1, 2, 3, 4, 8, 16, 32, 128];

/**
 * Counts the blocks that run, as V8's precise coverage has them: exactly, also in code that is optimized. The fuzzer's own code and Node's are left
 * out.
 */
export class Coverage {
  readonly #functions = new Map<string, Blocks>(); // script and where it stands there -> its blocks
  readonly #isOurs: (url: string) => boolean;
  #blocks = 0;

  /** @param isOurs whether blocks of a script count */
  constructor(isOurs: (url: string) => boolean = (url) => url.startsWith("file:") && !url.includes("/e2e/fuzz/")) {
    this.#isOurs = isOurs;
  }

  /** Blocks that ran since the last call. */
  take(): Run {
    const { result } = post("Profiler.takePreciseCoverage") as Profiler.TakePreciseCoverageReturnType;
    const features: number[] = [];
    let work = 0;
    for (const { url, scriptId, functions } of result) {
      if (!this.#isOurs(url)) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (whole === undefined || whole.count === 0) continue;
        for (const { count } of ranges) work += count;
        const blocks = this.#blocksOf(`${scriptId} ${whole.startOffset} ${whole.endOffset}`);
        for (const [block, count] of blocks.counts(ranges)) features.push(block * buckets.length + bucketOf(count));
      }
    }
    return { features, work };
  }

  #blocksOf(key: string): Blocks {
    const known = this.#functions.get(key);
    if (known !== undefined) return known;
    const blocks = new Blocks(() => this.#blocks++);
    this.#functions.set(key, blocks);
    return blocks;
  }
}

// One for the whole thread, from before any parser is loaded: code that is compiled earlier is not counted block by block.
const session = new Session();
session.connect();
post("Profiler.enable");
post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

function post(method: string, parameters: object = {}): unknown {
  let answer: unknown;
  session.post(method, parameters, (error, result) => {
    if (error !== null) throw new Error(`Cannot measure coverage: ${method}: ${error.message}`, { cause: error });
    answer = result;
  });
  return answer;
}

/**
 * The blocks of one function. V8 names a block only in a run in which its count differs from that of the code around it, so blocks become
 * known by and by.
 */
class Blocks {
  readonly #newId: () => number;
  #starts: number[] = []; // sorted
  #ids: number[] = [];

  constructor(newId: () => number) {
    this.#newId = newId;
  }

  /** Blocks that ran, and how often. @param ranges the function itself, then the ranges inside, each before those inside it */
  *counts(ranges: readonly Profiler.CoverageRange[]): Generator<readonly [id: number, count: number]> {
    for (const { startOffset, endOffset } of ranges) {
      this.#learn(startOffset);
      this.#learn(endOffset);
    }
    const around: Profiler.CoverageRange[] = [];
    let next = 0;
    for (const [index, start] of this.#starts.entries()) {
      while (around.length > 0 && (around.at(-1)?.endOffset ?? 0) <= start) around.pop();
      for (let range = ranges[next]; range !== undefined && range.startOffset <= start; range = ranges[++next])
        around.push(range);
      const count = around.at(-1)?.count ?? 0;
      if (count > 0) yield [this.#ids[index] ?? 0, count];
    }
  }

  #learn(start: number): void {
    let at = this.#starts.length;
    while (at > 0 && (this.#starts[at - 1] ?? 0) > start) at--;
    if (this.#starts[at - 1] === start) return;
    this.#starts = this.#starts.toSpliced(at, 0, start);
    this.#ids = this.#ids.toSpliced(at, 0, this.#newId());
  }
}

function bucketOf(count: number): number {
  return buckets.findLastIndex((least) => count >= least);
}
