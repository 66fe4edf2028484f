import { fileURLToPath } from "node:url";
import { DemoCluster } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import type { Scene } from "./scene.ts";

const seconds = 30;
const services = 4;

/** Whether the host with this MAC address answers another host for the address. */
async function answers(from: Host, address: string, mac: string): Promise<boolean> {
  const argv = address.includes(":")
    ? ["ndisc6", "-m", "-r", "1", "-w", "500", address, "eth0"]
    : ["arping", "-r", "-c", "1", "-w", "1", "-i", "eth0", address];
  return (await from.run(argv)).stdout.toLowerCase().includes(mac);
}

/** A host on the LAN that sends in the name of a speaker which would have the addresses, were its node allowed to. */
export const arpForged: Scene = {
  name: "arp-forged",
  tried:
    "a host on the LAN sends seven ARP and NDP frames a second for each address in the name of a member of the ring that would be its owner",
  async run(logs) {
    await using cluster = await DemoCluster.start({ logs, nodes: 2 });
    const [owner, other] = cluster.nodes;
    if (owner === undefined || other === undefined) throw new Error("Cannot attack: the cluster has no two nodes");
    for (const { speaker } of cluster.nodes) await waitFor("the speaker to be ready", () => speaker.ready());
    const addresses: string[] = [];
    for (let i = 1; i <= services; i++) {
      // Endpoints on one node alone, so that it owns all addresses, also those for which the other is preferred.
      const service = await cluster.expose(`web${i}`, [owner.name], {
        families: ["IPv4", "IPv6"],
        spec: { externalTrafficPolicy: "Local" },
      });
      await service.address();
      addresses.push(...(await service.addresses()));
    }
    const mac = await owner.host.link("eth0").mac();
    for (const address of addresses) await waitFor(`${owner.name} to answer`, () => answers(cluster.client, address, mac));
    const attacker = await cluster.lab.host("attacker");
    await attacker.attach(cluster.lan);
    const file = fileURLToPath(new URL("./forge-arp.ts", import.meta.url));
    const argv = [process.execPath, file, await other.host.link("eth0").mac(), mac, ...addresses];
    await using forger = await attacker.spawn("forger", argv);
    await forger.waitForLine(/^sending$/);
    const started = performance.now();
    let asked = 0;
    let silent = 0;
    while (performance.now() - started < seconds * 1000)
      for (const address of addresses) {
        asked++;
        if (!(await answers(cluster.client, address, mac))) silent++;
      }
    await forger.stop();
    const sent = Number(/^sent (\d+),/m.exec(forger.lines.join("\n"))?.[1] ?? 0);
    const { conflicts } = JSON.parse((await owner.speaker.get("/v1/conflicts")).body) as { conflicts: { owner: string }[] };
    const yielded = conflicts.filter((conflict) => conflict.owner === "other").length;
    return {
      seconds: (performance.now() - started) / 1000,
      effect: `${sent} frames sent; the owner did not answer ${silent} of ${asked} requests; it left ${yielded} of ${addresses.length} addresses to the other node`,
      // One answer may be lost on a busy machine.
      holds: yielded === 0 && silent <= 1 && sent > 100,
    };
  },
};
