/**
 * `node e2e/tiers/in-one-process.ts REPORT FILE...`: runs test files one after another in this process, as `node --test --test-isolation=none` does.
 * That loads what `--import` names only after it has begun to follow promises to their tests; here `untracked-promises.ts` comes first.
 */
import { createWriteStream } from "node:fs";
import { run } from "node:test";
import lines from "./reporter.ts";

const [report = "", ...files] = process.argv.slice(2);
const events = run({ isolation: "none", files });
events.on("test:fail", () => {
  process.exitCode = 1;
});
// Without followed promises nobody knows the test of an uncaught rejection: its text is all that people get.
events.on("test:diagnostic", ({ message, level }) => {
  if (level !== "info" || /^(?:Error|Warning): /.test(message)) process.stderr.write(`${message}\n`);
});
events.compose(lines).pipe(createWriteStream(report));
