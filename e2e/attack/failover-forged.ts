import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DemoCluster, demoConfiguration } from "#e2e/demo-cluster";
import { allKnowAll, allPathsUp, sumOf, takenForGone } from "../bench/failover-common.ts";
import { owner } from "../scenarios/observe.ts";
import type { Scene } from "./scene.ts";

const intervalMs = 50;
const seconds = 10;
/** The share of the owner's packets to the others that is lost, those of BFD and of the ring alike. */
const lostPercent = 20;
const settleMs = 3_000;

/** Speakers that watch one another by BFD, a host that lies about one of them, and a bad cable. */
export const failoverForged: Scene = {
  name: "failover-forged",
  tried: `with failover at ${intervalMs} ms, a host on the LAN sends the owner's Down and AdminDown to both others, as of its sessions between speakers; then ${lostPercent} % of what the owner sends is lost, and nothing of what it receives`,
  async run(logs) {
    const startedAt = performance.now();
    const configuration = `${demoConfiguration}failover: {interval: ${intervalMs}ms}\n`;
    await using cluster = await DemoCluster.start({ configuration, logs });
    const address = await (await cluster.expose("web", ["node1", "node2", "node3"])).address();
    await allKnowAll(cluster);
    await allPathsUp(cluster);
    const victim = await owner(cluster, address);
    const others = cluster.nodes.filter((node) => node !== victim);
    const failures = () => sumOf(cluster, "ingot_memberlist_failures_total");

    const attacker = await cluster.lab.host("attacker");
    await attacker.attach(cluster.lan, { addresses: ["172.30.0.66/24"] });
    await attacker.output(["ip", "address", "add", `${victim.addresses[0]}/32`, "dev", "lo"]);
    const file = fileURLToPath(new URL("./forge-bfd.ts", import.meta.url));
    const ends = others.map(({ addresses: [to] }) => to);
    for (const { addresses, host } of others) {
      const mac = await host.link("eth0").mac();
      await attacker.output(["ip", "neighbor", "replace", addresses[0], "lladdr", mac, "dev", "eth0"]);
    }
    await using forger = await attacker.spawn("forger", ["node", file, victim.addresses[0], ...ends]);
    await forger.waitForLine(/^sending$/);
    await sleep(seconds * 1_000);
    await forger.stop();
    const sent = ends.length * Number(/^sent (\d+)$/m.exec(forger.lines.join("\n"))?.[1] ?? 0);
    const forged = await failures();
    const stays = (await owner(cluster, address)) === victim;

    const rule = `udp dport { 3784, 7946 } numgen random mod 100 < ${lostPercent} drop`;
    const table = `table inet lossy { chain output { type filter hook output priority 0; }; }\nadd rule inet lossy output ${rule}`;
    await victim.host.output(["nft", "-f", "-"], { input: `${table}\n` });
    await sleep(seconds * 1_000);
    await victim.host.output(["nft", "delete", "table", "inet", "lossy"]);
    const lossy = (await failures()) - forged;
    const wrong = await takenForGone(cluster);
    await allKnowAll(cluster);
    await sleep(settleMs);
    const returned = (await owner(cluster, address)) === victim;
    return {
      seconds: (performance.now() - startedAt) / 1_000,
      effect: `${sent} packets forged, of which nobody was taken for gone: ${forged === 0}, the owner stays: ${stays}; under loss members were taken for gone ${lossy} times, ${wrong} of them known as wrong, and the owner has its address afterwards: ${returned}`,
      // A second false failure within a minute is the ring's: BFD to a node that it misled about is off then.
      holds: sent > 1_000 && forged === 0 && stays && returned && wrong <= cluster.nodes.length,
    };
  },
};
