import { hash } from "node:crypto";
import { threadCpuUsage } from "node:process";
import { getHeapStatistics } from "node:v8";
import type { Coverage } from "./coverage.ts";
import type { Target } from "./target.ts";

/** The result of one input. */
export interface Outcome {
  readonly features: readonly number[];
  /** Blocks that ran, as a part of those that may. */
  readonly load: number;
  /** The parser's fault; undefined without a fault. */
  readonly problem: string | undefined;
}

// Below this nobody looks twice, so that a process that was held up is not taken for a slow parser.
const suspiciousMicros = 25_000;
const repetitions = 5;
const minReferenceMicros = 8_000;
const reference = Buffer.alloc(1 << 20);

/** Runs a parser on one input, and holds what that costs against its bounds. */
export function execute(target: Target, coverage: Coverage, input: Uint8Array): Outcome {
  const limit = limitOf(target, input);
  if (target.size !== undefined) coverage.take(); // The blocks that ran so far are not the parser's.
  const before = { memory: allocated(), cpu: cpuMicros() };
  const thrown = attempt(target, input);
  const cpu = cpuMicros() - before.cpu;
  const memory = (allocated() - before.memory) / 2 ** 20;
  const { features, work } = coverage.take();
  const tooMuch = `runs ${work} blocks for ${input.length} octets, of ${limit.work} at most`;
  const problem = thrown ?? (work > limit.work ? tooMuch : costs(target, coverage, input, limit, { memory, cpu }));
  return { features, load: work / limit.work, problem };
}

/** The most that one input may cost. */
interface Limit {
  readonly work: number;
  readonly memory: number;
  readonly time: number;
}

function limitOf({ bounds, size }: Target, input: Uint8Array): Limit {
  const { work, workPerOctet, memory, memoryPerOctet = 0, time, timePerOctet = 0 } = bounds;
  const octets = size?.(input) ?? input.length;
  return {
    work: Math.round(work + workPerOctet * octets),
    memory: Math.round(memory + (memoryPerOctet * octets) / 2 ** 20),
    time: Math.round(time + timePerOctet * octets),
  };
}

/** The unit of processor time: about a millisecond of work that is the same however code is compiled. A slow or a busy machine changes nothing. */
export function referenceWork(): void {
  hash("sha256", reference);
}

function attempt({ run }: Target, input: Uint8Array): string | undefined {
  const copy = input.slice();
  try {
    run(copy);
  } catch (error) {
    return `throws ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
  return Buffer.compare(copy, input) === 0 ? undefined : "writes into what it parses";
}

function costs(
  target: Target,
  coverage: Coverage,
  input: Uint8Array,
  limit: Limit,
  first: { readonly memory: number; readonly cpu: number },
): string | undefined {
  if (first.memory <= limit.memory && first.cpu <= suspiciousMicros) return undefined;
  const again = Array.from({ length: repetitions }, () => measure(target, input));
  coverage.take();
  // Garbage that is collected meanwhile makes it less; code that is compiled meanwhile makes it more, once.
  const [, memory = 0] = again.map((each) => each.memory).sort((a, b) => b - a);
  if (memory > limit.memory) return `allocates ${memory.toFixed(1)} MiB for ${input.length} octets, of ${limit.memory} at most`;
  const time = Math.min(...again.map((each) => each.time));
  if (time > limit.time)
    return `takes ${time.toFixed()} times the reference for ${input.length} octets, of ${limit.time} at most`;
  return undefined;
}

/** @returns MiB, and processor time as a multiple of the reference's */
function measure(target: Target, input: Uint8Array): { readonly memory: number; readonly time: number } {
  const start = cpuMicros();
  let rounds = 0;
  // The kernel may count processor time in steps of some milliseconds.
  for (; cpuMicros() - start < minReferenceMicros; rounds++) referenceWork();
  const reference = (cpuMicros() - start) / rounds;
  const [memory, cpu] = [allocated(), cpuMicros()];
  attempt(target, input);
  return { time: (cpuMicros() - cpu) / reference, memory: (allocated() - memory) / 2 ** 20 };
}

function cpuMicros(): number {
  const { user, system } = threadCpuUsage();
  return user + system;
}

/** Octets in use; the difference is what was allocated, or less where garbage was collected meanwhile. */
function allocated(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}
