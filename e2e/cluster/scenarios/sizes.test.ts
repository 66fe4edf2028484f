import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { InstalledCluster, namespace } from "./installed.ts";
import { assertNothingLost, print } from "./packets.ts";

// The smallest cluster, with kube-proxy in its other mode, and a large one.
/** Set INGOT_E2E_NODES=10 where there is the time: two processors take minutes to start so many nodes beside other work. */
const largeNodes = Number(process.env.INGOT_E2E_NODES ?? 6);
const alone = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 1, proxyMode: "nftables" });
  await on.deploy(1);
  await on.install();
  return on;
});

alone("on a single node, with kube-proxy in nftables mode, Services are reached, Local ones too", async (on) => {
  const [web, local] = [await on.serve("web"), await on.serve("local", { externalTrafficPolicy: "Local" })];
  for (const address of [web, local]) {
    assert.equal(await on.answer(address), "node1");
    assert.equal(await on.owner(address), "node1");
  }
  assert.match(await on.cluster.node("node1").host.run(["nft", "list", "tables"]), /kube-proxy/);
});

alone("what another writer sets beside an address stays, nobody writes it over, and kube-proxy goes by it", async (on) => {
  const address = (await on.addresses()).web ?? "";
  const writes = async () =>
    (await on.cluster.requests()).filter(
      ({ user, resource }) => user.endsWith(":controller") && user.includes(namespace) && resource === "services/status",
    ).length;
  const ingress = async () => (await on.get("services")).find(({ metadata }) => metadata.name === "web")?.status?.loadBalancer;
  const rules = () => on.cluster.node("node1").host.run(["nft", "list", "table", "ip", "kube-proxy"]);
  assert.deepEqual(await ingress(), { ingress: [{ ip: address, ipMode: "VIP" }] }, "the API server adds the mode");
  assert.ok((await rules()).includes(address));

  const before = await writes();
  const ports = [{ port: 80, protocol: "TCP", error: "example.com/Broken" }];
  const set = (entry: object) =>
    on.kubectl(
      "patch",
      "service",
      "web",
      "--subresource=status",
      "-p",
      JSON.stringify({ status: { loadBalancer: { ingress: [entry] } } }),
    );
  await set({ ip: address, ipMode: "Proxy", ports });
  await waitFor("kube-proxy to leave the address to a proxy", async () => !(await rules()).includes(address), patience);
  await on.serve("later"); // The controller has seen what came before.
  assert.deepEqual(await ingress(), { ingress: [{ ip: address, ipMode: "Proxy", ports }] });
  await set({ ip: address });
  assert.equal(await on.answer(address), "node1");
  await on.kubectl("delete", "service", "later");
  assert.equal(await writes(), before + 1, "that of the Service `later`");
});

alone("a client that knows the node loses nothing while its only speaker is replaced", async (on) => {
  const { web = "", local = "" } = await on.addresses();
  // It knows the node for longer than any machine takes: usually the kernel asks again after 15 to 45 s, and then nobody may answer.
  await on.cluster.client.run(["sysctl", "-qw", "net.ipv4.neigh.eth0.base_reachable_time_ms=3600000"]);
  for (const address of [web, local]) {
    await on.cluster.client.run(["ip", "neigh", "flush", "to", address]);
    await on.answer(address);
  }
  const streamed = await on.streaming({ web, local }, async () => {
    await on.kubectl("-n", namespace, "rollout", "restart", "daemonset/speaker", "deployment/controller");
    await on.rolledOut("daemonset/speaker", "deployment/controller");
  });
  print("rolled on a single node", streamed);
  assertNothingLost(streamed);
  assert.equal(await on.owner(web), "node1");
});

const large = steps(async () => {
  const on = await InstalledCluster.start({ nodes: largeNodes });
  await on.deploy(3);
  await on.install();
  return on;
});

large(`on ${largeNodes} nodes each of twelve addresses has one owner, and several nodes have some`, async (on) => {
  const owners = new Set<string>();
  for (let count = 1; count <= 12; count++) {
    const address = await on.serve(`web${count}`);
    owners.add(await waitFor(`an owner of ${address}`, () => on.owner(address), patience));
  }
  assert.ok(owners.size >= 3, `owners: ${[...owners].join()}`);
});

large(`when one of ${largeNodes} nodes dies, the others have its addresses, and it gets them back`, async (on) => {
  const addresses = await on.addresses();
  const before = await ownersOf(on, addresses);
  const [name = "", node = ""] = Object.entries(before)[0] ?? [];
  await on.cluster.node(node).powerOff();
  await on.ownerOtherThan(node, String(addresses[name]));
  const others = Object.fromEntries(Object.entries(addresses).filter(([each]) => before[each] !== node));
  const areThere = async () => {
    const during = await ownersOf(on, others);
    for (const [each, owner] of Object.entries(during)) assert.equal(owner, before[each], "it has no reason to move");
    return true;
  };
  await waitFor("the other addresses where they were", areThere, patience);
  await on.cluster.node(node).powerOn();
  const isBack = async () => assert.deepEqual(await ownersOf(on, addresses), before) === undefined;
  await waitFor("the owners as before", isBack, patience);
  assert.deepEqual(await on.addresses(), addresses);
});

async function ownersOf(on: InstalledCluster, addresses: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const owners: Record<string, string> = {};
  for (const [name, address] of Object.entries(addresses)) owners[name] = await on.owner(address);
  return owners;
}
