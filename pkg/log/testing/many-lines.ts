/**
 * For tests: writes the number of lines in its argument, all in one turn, then one more when standard input ends. The last
 * line on standard error says how many were lost.
 */
import { once } from "node:events";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { createLog, lostLogLines } from "#pkg/log";

const log = createLog("info");
for (let i = 0; i < Number(process.argv[2]); i++)
  log.info("service has addresses", { i, pool: `pool-of-service-${i}`, ips: ["192.0.2.1"] });
await setImmediate(); // The lines of a turn are given to the pipe at its end.
process.stderr.write(`${JSON.stringify({ waiting: process.stdout.writableLength })}\n`);
process.stdin.resume();
await once(process.stdin, "end");
// Losses are known, and a reader has read, once a few more lines have been tried.
for (let turn = 0; turn < 100 && process.stdout.writableLength > 0; turn++) await sleep(10);
await sleep(50); // A pipe that nobody reads says so.
log.info("last");
await sleep(50);
process.stderr.write(`${JSON.stringify({ lost: lostLogLines() })}\n`);
