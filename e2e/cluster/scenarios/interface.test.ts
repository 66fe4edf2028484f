import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { InstalledCluster } from "./installed.ts";

// Pools with `protocol: interface`: one that BIRD on every node announces as docs/interface-pools.md has it, to a router with a client behind it,
// and one on NICs of the client's LAN. First with kube-proxy in mode iptables, then in mode nftables.
const pool = `
address-pools:
  - name: routed
    protocol: interface
    addresses: [198.51.100.0/24]
  - name: nics
    protocol: interface
    placement: lan
    auto-assign: false
    addresses: [172.30.0.220-172.30.0.229]
`;
const address = "198.51.100.7";
const onNic = "172.30.0.221";

let both: readonly string[]; // IPv4 addresses of the nodes

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 2 });
  both = on.cluster.nodes.map(({ host }) => host.ipv4);
  const { router, nodes } = on.cluster;
  await router.run(["sysctl", "-qw", "net.ipv4.fib_multipath_hash_policy=1"]);
  const bird = async (host: typeof router, text: string) => {
    const files = join(on.cluster.directory, host.name);
    await writeFile(`${files}-bird.conf`, `router id ${host.ipv4};\nprotocol device { scan time 10; }\n${text}`);
    const paths = ["-c", `${files}-bird.conf`, "-s", `${files}-bird.ctl`, "-P", `${files}-bird.pid`];
    host.daemon(`${host.name}-bird`, ["bird", "-f", ...paths]);
  };
  const area = 'area 0 { interface "eth0" { hello 1; dead 4; }; };';
  await bird(
    router,
    `protocol kernel { merge paths on; ipv4 { import none; export all; }; }
protocol ospf v2 { ecmp on; merge external on; ipv4 { import all; export none; }; ${area} }`,
  );
  for (const { host } of nodes)
    await bird(
      host,
      `protocol direct { ipv4; interface "kube-lb0"; }
protocol ospf v2 { ipv4 { import all; export where source = RTS_DEVICE; }; ${area} }`,
    );
  await on.deploy(2);
  return on;
});

step("without NET_ADMIN speakers say what is missing, and what adds it", async (on) => {
  await on.install(pool);
  await on.serve("web", { loadBalancerIP: address, externalTrafficPolicy: "Local" });
  await warned(
    on,
    /^warning: pools of protocol interface are not announced \(routed[^)]*nics\): .*kustomize component net-admin/m,
  );
  assert.deepEqual(await nextHops(on), []);
});

step("with the component net-admin the router has the address by OSPF from both nodes, and a client reaches both", async (on) => {
  await on.install(pool, ["net-admin"]);
  await reached(on);
});

step("an address of the LAN is on the NIC of one node, which answers for it, and a client reaches Pods on both", async (on) => {
  await on.serve("nic", { loadBalancerIP: onNic });
  await reachedOnNic(on);
});

step("with kube-proxy in mode nftables both are reached as before", async (on) => {
  for (const node of on.cluster.nodes) await node.setProxyMode("nftables");
  for (const { host } of on.cluster.nodes)
    await waitFor(
      "rules",
      async () => (await host.run(["nft", "list", "table", "ip", "kube-proxy"])).includes(address),
      patience,
    );
  await reached(on);
  await reachedOnNic(on);
});

/** Waits until one node has the address on its NIC, as the client's ARP and its kernel say, and Pods on both nodes answer. */
async function reachedOnNic(on: InstalledCluster): Promise<void> {
  const onlyOwner = async () => {
    const owner = await on.owner(onNic);
    const having = on.cluster.nodes.map(async ({ name, host }) => {
      const shown = await host.run(["ip", "-o", "address", "show", "dev", "eth0"]);
      return shown.includes(` ${onNic}/32 `) ? name : [];
    });
    assert.deepEqual((await Promise.all(having)).flat(), [owner]);
    return true;
  };
  await waitFor("the node that answers to have the address, and no other", onlyOwner, patience);
  const answered = new Set<string>();
  const bothAnswer = async () => answered.add(await on.answer(onNic)).size === both.length;
  await waitFor("answers of Pods on both nodes", bothAnswer, patience);
}

/** Waits until the router leads to the address by both nodes, and Pods on both answer, each through its own node. */
async function reached(on: InstalledCluster): Promise<void> {
  await waitFor("both nodes as next hops", async () => (await nextHops(on)).join() === [...both].sort().join(), patience);
  const answered = new Set<string>();
  await waitFor(
    "answers from both nodes",
    async () => {
      answered.add(await on.answer(address));
      return answered.size === both.length;
    },
    patience,
  );
}

async function nextHops({ cluster }: InstalledCluster): Promise<string[]> {
  const [route] = JSON.parse(await cluster.router.run(["ip", "-json", "route", "show", `${address}/32`]));
  const hops: readonly { gateway: string }[] = route?.nexthops ?? (route === undefined ? [] : [route]);
  return hops.map(({ gateway }) => gateway).sort();
}

async function readyz({ cluster }: InstalledCluster): Promise<string> {
  const { host } = cluster.node("node1");
  return (await host.get(`http://${host.ipv4}:7472/readyz`)).body;
}

function warned(on: InstalledCluster, expected: RegExp): Promise<unknown> {
  return waitFor(`a warning ${expected}`, async () => expected.test(await readyz(on)), patience);
}
