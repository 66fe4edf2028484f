/** A reporter for `node --test`: each test as a line of JSON, with the processor time since the one before it. */
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
  /** Processor time of its process, and of children that have ended, since the test before. */
  readonly cpuMs: number;
}

export default async function* outcomes(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let before = 0;
  for await (const event of events) {
    if (event.type !== "test:pass" && event.type !== "test:fail") continue;
    const { file = "", line = 0, name, skip, details } = event.data;
    if (details.type === "suite" && skip === undefined) continue; // Its tests speak for it.
    const now = processorMs();
    const outcome: Outcome = {
      file: relative(process.cwd(), file),
      line,
      name,
      ...(skip !== undefined && { skipped: String(skip) }),
      ...("error" in details && skip === undefined && { failure: inspect(details.error.cause ?? details.error) }),
      cpuMs: now - before,
    };
    before = now;
    yield `${JSON.stringify(outcome)}\n`;
  }
}

const msPerTick = 10; // USER_HZ of Linux.

function processorMs(): number {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return afterName.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * msPerTick, 0);
}
