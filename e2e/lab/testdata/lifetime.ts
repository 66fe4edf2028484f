// A lab with processes that end in no other way than by force. Prints its namespaces, then ends as the argument says.
import { readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Lab } from "#e2e/lab";

await using lab = await Lab.start();
const lan = await lab.switch("lan");
const host = await lab.host("lifetime-host");
await host.attach(lan, { addresses: ["10.0.0.1/24"] });
const stubborn = await host.spawn("stubborn", ["sh", "-c", "trap '' INT TERM HUP; echo begun; while :; do sleep 1000; done"]);
await stubborn.waitForLine(/begun/);
const stopped = await host.spawn("stopped", ["sleep", "1000"]);
stopped.kill("SIGSTOP");

const namespaces = [lab.pid, stubborn.pid, stopped.pid]
  .flatMap((pid) => ["pid", "net", "mnt"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)));
console.log(JSON.stringify([...new Set(namespaces)]));
const [end] = process.argv.slice(2);
if (end === "throw") throw new Error("thrown on purpose");
if (end === "wait") await sleep(60_000);
