import { after, before, suite, test } from "node:test";
import { type DemoCluster, demoConfiguration } from "#e2e/demo-cluster";
import { Lab } from "#e2e/lab";
import { assigned, owner, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const patience = 120_000; // A host that is gone is asked for some times.
const lan = (fields: string) => demoConfiguration.replace("protocol: layer2\n", `protocol: layer2\n  ${fields}\n`);

suite("what other hosts on the LAN do to an address is the cause of a verdict, until it is mended", {
  skip: await Lab.refusal(),
}, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration: lan("conflict-probe: strict") });
    tool = new Tool(cluster);
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test("a host that answers for one address after the other", async () => {
    const host = await cluster.lab.host("greedy");
    await host.attach(cluster.lan, { addresses: Array.from({ length: 8 }, (_, i) => `172.30.0.20${i}/24`) });
    await cluster.expose("many", ["node1", "node2"]);
    await tool.explains(
      "svc/many",
      [
        /^Service default\/many: Degraded \(answersForMany\)/,
        new RegExp(`a host, ${await host.link("eth0").mac()}, answers for 172.* and for several other addresses`),
        /To do: turn proxy ARP off on that host, or take these addresses out of the pool/,
      ],
      patience,
    );
    await cluster.lan.unplug(host);
    await tool.explains("svc/many", /^Service default\/many: Announced/, patience);
  });

  test("another host that answers instead of the node that announces the address", async () => {
    await cluster.configure(lan("self-test: 10s"));
    await cluster.expose("tried", ["node1", "node2"]);
    const [address = ""] = await assigned(cluster, "tried");
    const { host } = await owner(cluster, address);
    const drops = ["daddr", "saddr"].map((side) => `arp ${side} ip ${address} drop;`).join(" ");
    const chain = `chain in { type filter hook ingress device eth0 priority 0; ${drops} }`;
    await host.output(["nft", `add table netdev deaf { ${chain}; }`]);
    const thief = await cluster.lab.host("thief");
    await thief.attach(cluster.lan, { addresses: [`${address}/24`] });
    await tool.explains(
      "svc/tried",
      [
        /^Service default\/tried: Degraded \(answeredByAnother\)/,
        new RegExp(`${host.name} announces ${address}, and ${await thief.link("eth0").mac()} answers for it`),
        /To do: find the host with that MAC address, and give it another address/,
      ],
      patience,
    );
    await host.output(["nft", "delete table netdev deaf"]);
    await cluster.lan.unplug(thief);
    await tool.explains("svc/tried", /^Service default\/tried: Announced/, patience);
  });
});
