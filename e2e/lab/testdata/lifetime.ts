// A lab with a process that minds no signal and one that is stopped. Prints its namespaces, then ends as the argument says once
// there is something on standard input.
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { Lab } from "#e2e/lab";

await using lab = await Lab.start();
const lan = await lab.switch("lan");
const host = await lab.host("lifetime-host");
await host.attach(lan, { addresses: ["10.0.0.1/24"] });
const stubborn = await host.spawn("stubborn", ["sh", "-c", "trap '' INT TERM HUP; echo begun; while :; do sleep 1000; done"]);
await stubborn.waitForLine(/begun/);
const stopped = await host.spawn("stopped", ["sleep", "1000"]);
stopped.kill("SIGSTOP");

const namespaces = [lab.pid, stubborn.pid].flatMap((pid) =>
  ["pid", "net", "mnt"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`)),
);
console.log(JSON.stringify(namespaces));
await once(process.stdin, "data");
process.stdin.pause();
if (process.argv[2] === "throw") throw new Error("thrown on purpose");
