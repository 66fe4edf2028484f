/**
 * Whether 100 sessions (`--sessions`) at 50 ms times 3 hold for 10 minutes (`--minutes`) with FRR's bfdd while our main thread has no time
 * for anything else. Prints what happened, and exits with 1 when a session was down on either side. Needs root, since bfdd does.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Lab } from "#e2e/lab";
import { manySessions } from "./many-sessions.ts";

const { values } = parseArgs({
  options: { sessions: { type: "string", default: "100" }, minutes: { type: "string", default: "10" } },
});
const count = Number(values.sessions);
const minutes = Number(values.minutes);

await using lab = await Lab.start();
const { ours, bfdd, upEverywhere } = await manySessions(lab, { count, intervalMs: 50, busy: true });
await upEverywhere();
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const downs = async () => ({
  ours: sum((await ours.counters()).sessions.map(({ downEvents }) => downEvents)),
  theirs: sum((await bfdd.allCounters()).map((counters) => counters["session-down"])),
});
const before = await downs();
for (let minute = 1; minute <= minutes; minute++) {
  await sleep(60_000);
  const { ours: here, theirs: there } = await downs();
  console.log(`after ${minute} minutes: down ${here - before.ours} times on our side, ${there - before.theirs} on FRR's`);
}
const after = await downs();
const { sessions } = await ours.counters();
const received = sum(sessions.map(({ controlIn }) => controlIn));
console.log(`${count} sessions, ${received} packets received`);
for (const line of ours.statuses().filter(({ verdict }) => verdict !== "up")) console.log(JSON.stringify(line));
process.exitCode = after.ours > before.ours || after.theirs > before.theirs ? 1 : 0;
