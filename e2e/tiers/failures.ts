/** A reporter for `node --test`: what failed, with its error, and one line of totals. */
import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";

export default async function* failures(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for await (const { type, data } of events) {
    if (type === "test:stderr" || type === "test:stdout") yield data.message;
    if ((type !== "test:pass" && type !== "test:fail") || data.details.type === "suite") continue;
    if (data.skip !== undefined) skipped++;
    else if (type === "test:pass") passed++;
    else {
      failed++;
      const { file = "", line, name, details } = data;
      yield `\n${relative(process.cwd(), file)}:${line}: ${name}\n${details.error.cause ?? details.error}\n`;
    }
  }
  yield `${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}
