// Nightly: the other scenarios are dual-stack, and have IPv6 in them.
import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { ingotctl } from "./ingotctl.ts";
import { InstalledCluster } from "./installed.ts";
import { pathFaults, setPodNetworks } from "./path-faults.ts";

// A cluster without IPv4: its hosts, Pods and Services have IPv6 addresses alone, and so have the API's Service and the speakers' ring.
const pool = `
address-pools:
  - name: lan
    protocol: layer2
    addresses: ['fd00:30::200-fd00:30::219']
`;
let web: string;

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 3, families: "IPv6" });
  await on.deploy(3);
  await setPodNetworks(on);
  await on.install(pool);
  web = await on.serve("web");
  return on;
});

const answers = (on: InstalledCluster) =>
  waitFor(`an answer from ${web}`, () => on.cluster.client.get(`http://[${web}]/`), patience);

/** The node that answers the client for the address now. */
async function owner(on: InstalledCluster): Promise<string> {
  await on.cluster.client.run(["ip", "-6", "neigh", "flush", "to", web]);
  await answers(on);
  const mac = await on.cluster.client.neighbor(web);
  for (const node of on.cluster.nodes) if ((await node.host.mac()) === mac) return node.name;
  throw new Error(`Cannot find the node with MAC address ${mac}`);
}

step("a Service is reached, other nodes see its node answer, and nothing is wrong", async (on) => {
  const name = await owner(on);
  const probed = await ingotctl(on, ["probe", web]);
  assert.match(probed.out, new RegExp(`answered by \\S+ \\(${name}\\) on eth0; TCP port 80 accepts`));
  const { findings } = JSON.parse((await ingotctl(on, ["doctor", "-o", "json"])).out);
  // Kernels that give containers no real time say so everywhere.
  assert.deepEqual(
    findings.filter(({ cause }: { cause: string }) => cause !== "realTimeRefused"),
    [],
  );
});

step("another node takes over from one whose kube-proxy and rules are gone, and from one that loses power", async (on) => {
  const failures = [
    async (name: string) => void (await pathFaults.rulesGone.begin(on, name)),
    (name: string) => on.cluster.node(name).powerOff(),
  ];
  for (const fail of failures) {
    const before = await owner(on);
    await fail(before);
    await waitFor(`another owner than ${before}`, async () => (await owner(on)) !== before, patience);
  }
});
