/** A reporter for `node --test`: each test as a line of JSON, and as the last one what the process took. */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

/** Result of one test. */
export interface Outcome {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  /** Why it was skipped, or how it failed; undefined where it passed. */
  readonly skipped?: string;
  readonly failure?: string;
  readonly ms: number;
}

/** Times of a process, from its start to its last test. */
export interface Cost {
  readonly ms: number;
  /** Processor time, with that of its children that have ended. */
  readonly cpuMs: number;
}

export default async function* lines(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    const { file = "", line = 0, name, skip, details } = event.data;
    if (details.type === "suite" && skip === undefined) continue; // Its tests speak for it.
    const outcome: Outcome = {
      file: relative(process.cwd(), file),
      line,
      name,
      ...(skip !== undefined && { skipped: String(skip) }),
      ...("error" in details && skip === undefined && { failure: inspect(details.error.cause ?? details.error) }),
      ms: details.duration_ms,
    };
    yield `${JSON.stringify(outcome)}\n`;
  }
  const cost: Cost = { ms: performance.now(), cpuMs: processorMs() };
  yield `${JSON.stringify(cost)}\n`;
}

const msPerTick = 10; // USER_HZ of Linux.

function processorMs(): number {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return afterName.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * msPerTick, 0);
}
