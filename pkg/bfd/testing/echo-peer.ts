/**
 * The other end of two links, in a network of its own, which returns echoes: makes them when its parent says that the interfaces are there. Run by
 * `netns-scenarios.ts`.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { parseConfig } from "#pkg/config";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { Bfd } from "../index.ts";

const [fields = ""] = process.argv.slice(2);
const profile = parseConfig(`bfd-profiles: [{name: p, ${fields}}]`).config?.bfdProfiles.get("p");
if (profile === undefined) throw new Error("no profile");
console.log("here");
await once(process.stdin, "data");
writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
const bfd = new Bfd({ log: silentLog, date: () => new Date() });
for (const n of [0, 1]) {
  execFileSync("ip", ["address", "add", `10.0.${n}.2/24`, "dev", `far${n}`]);
  execFileSync("ip", ["link", "set", `far${n}`, "up"]);
  bfd.watch({ peer: address(`10.0.${n}.1`), local: address(`10.0.${n}.2`), multihop: false }, profile, () => {});
}
