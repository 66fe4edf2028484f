/**
 * `make quick`: the tests that need nothing but this machine's processors, several files in one process, and a tenth of the examples of each
 * property. A test file is left to `make test` if it imports processes, sockets, threads or a clock that waits, or if it says that it is long.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

const notQuick = /from "(?:node:(?:net|dgram|tls|https?|child_process|worker_threads|timers\/promises)|#e2e\/\w+)"|^\/\/ Long: /m;

const files = globSync("{pkg,controller,speaker,ctl}/**/*.test.ts").sort();
const quick = files.filter((file) => !notQuick.test(readFileSync(file, "utf8")));
const processes = Math.min(availableParallelism(), 4);
const preloads = ["same-examples.ts", "fewer-examples.ts"].map((file) => `--import=./e2e/tiers/${file}`);

const statuses = await Promise.all(
  Array.from({ length: processes }, async (_, index) => {
    const part = quick.filter((_, position) => position % processes === index);
    const options = ["--test", "--test-isolation=none", "--test-reporter=./e2e/tiers/failures.ts"];
    const [status] = await once(spawn(process.execPath, [...preloads, ...options, ...part], { stdio: "inherit" }), "close");
    return status as number | null;
  }),
);
console.log(`${quick.length} files. make test has the other ${files.length - quick.length}, and all examples.`);
process.exitCode = statuses.every((status) => status === 0) ? 0 : 1;
