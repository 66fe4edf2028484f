/**
 * Tests whether 100 sessions (`--sessions`) at 50 ms times 3 hold for 10 minutes (`--minutes`) while the main thread of one side has no
 * time for anything else. The other side is ours too, or with `--peer frr` FRR's bfdd, which has no real time and so may itself be late on
 * a busy machine. Prints the events, and exits with 1 when a session was down. As root the threads run in real time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Lab } from "#e2e/lab";
import { manySessions } from "./many-sessions.ts";

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "100" },
    minutes: { type: "string", default: "10" },
    peer: { type: "string", default: "ours" },
  },
});
const count = Number(values.sessions);
const minutes = Number(values.minutes);

await using lab = await Lab.start();
const peer = values.peer === "frr" ? "frr" : "ours";
const { ours, theirs } = await manySessions(lab, { count, intervalMs: 50, peer, busy: true });
const before = { ours: await ours.downs(), theirs: await theirs.downs() };
const downs = async () => ({ ours: (await ours.downs()) - before.ours, theirs: (await theirs.downs()) - before.theirs });
for (let minute = 1; minute <= minutes; minute++) {
  await sleep(60_000);
  const { ours: here, theirs: there } = await downs();
  console.log(`after ${minute} minutes: down ${here} times on the busy side, ${there} on the other`);
}
const { sessions } = await ours.sessions.counters();
console.log(`${count} sessions, ${sessions.reduce((total, { controlIn }) => total + controlIn, 0)} packets received`);
for (const line of ours.sessions.statuses().filter(({ verdict }) => verdict !== "up")) console.log(JSON.stringify(line));
const after = await downs();
process.exitCode = after.ours + after.theirs > 0 ? 1 : 0;
