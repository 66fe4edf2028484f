import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DemoCluster, type DemoNode, type DemoService, demoConfiguration } from "#e2e/demo-cluster";
import { type Host, Lab, type Switch, waitFor } from "#e2e/lab";
import { parseAddress, urlHost } from "#pkg/net";
import { elect } from "#pkg/placement";
import { eventOf, learnedNode, metric, owner, startCluster } from "./observe.ts";

const configuration = `${demoConfiguration}- name: west
  protocol: layer2
  l2-placement: subnet
  auto-assign: false
  addresses: [172.29.0.200-172.29.0.209, fd00:29::200-fd00:29::209]
- name: wire
  protocol: layer2
  interfaces: [eth1]
  auto-assign: false
  addresses: [172.29.0.210-172.29.0.219, fd00:29::210-fd00:29::219]
- name: steady-wire
  protocol: layer2
  interfaces: [eth1]
  l2-placement: sticky
  auto-assign: false
  addresses: [172.29.0.220-172.29.0.229, fd00:29::220-fd00:29::229]
- name: steady
  protocol: layer2
  l2-placement: sticky
  auto-assign: false
  addresses: [172.30.0.150-172.30.0.179, fd00:30::150-fd00:30::179]
`;

suite("nodes on two segments answer where they are, and stay or go as the pool asks for", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let west: Switch;
  let neighbor: Host; // On the second segment alone.
  before(async () => {
    cluster = await startCluster({ configuration });
    west = await cluster.lab.switch("west");
    neighbor = await cluster.lab.host("neighbor");
    await neighbor.attach(west, { addresses: ["172.29.0.100/24", "fd00:29::100/64"] });
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** A Service of both families from this pool, with an endpoint on each node. */
  async function expose(name: string, pool: string): Promise<{ service: DemoService; addresses: readonly string[] }> {
    const nodes = cluster.nodes.map((node) => node.name);
    const annotations = { "metallb.universe.tf/address-pool": pool };
    const service = await cluster.expose(name, nodes, { annotations, families: ["IPv4", "IPv6"] });
    const addresses = await waitFor(`Service ${name} to have two addresses`, async () => {
      const found = await service.addresses();
      return found.length === 2 && found;
    });
    return { service, addresses };
  }

  /** The nodes that announce the address. */
  async function announcing(address: string): Promise<string[]> {
    const running = cluster.nodes.filter(({ speaker }) => speaker.process.exit === undefined);
    const values = await Promise.all(running.map(({ speaker }) => metric(speaker, "metallb_speaker_announced", { ip: address })));
    return running.filter((_, index) => values[index] === 1).map(({ name }) => name);
  }

  /** Waits until one node alone announces all of them. */
  async function settled(addresses: readonly string[], wanted: (node: string) => boolean = () => true): Promise<DemoNode> {
    return waitFor(`one node to announce ${addresses}`, async () => {
      const [[name, ...more] = [], ...others] = await Promise.all(addresses.map(announcing));
      const same = others.every((nodes) => nodes.join() === name);
      return name !== undefined && more.length === 0 && same && wanted(name) && cluster.node(name);
    });
  }

  /** How long it takes until the neighbor gets answers from this node's eth1, in milliseconds. */
  async function reachedAt({ host, name }: DemoNode, addresses: readonly string[]): Promise<number> {
    const start = performance.now();
    const mac = await host.link("eth1").mac();
    for (const address of addresses)
      await waitFor(
        `the neighbor to find ${address} at ${name}`,
        async () => {
          const url = `http://${urlHost(address)}/`;
          const answered = await neighbor.get(url, { timeout: 500 }).then(
            () => true,
            () => false,
          );
          const [entry] = JSON.parse(await neighbor.output(["ip", "-json", "neigh", "show", "to", address]));
          return answered && entry?.lladdr === mac;
        },
        { every: 20 },
      );
    return Math.round(performance.now() - start);
  }

  test("a pool placed by subnets is at nodes in them alone, and says so while there is none", async () => {
    const { service, addresses } = await expose("files", "west");
    await eventOf(
      cluster,
      "files",
      "notInSubnet",
      /of pool west is announced by no node: .*node1: 172\.30\.0\.0\/24 fd00:30::\/64, node2: /,
    );
    for (const address of addresses) assert.deepEqual(await announcing(address), []);
    const address = parseAddress(addresses[0] ?? "") ?? assert.fail();
    const attached: string[] = [];
    for (const number of [1, 2]) {
      const { name, host } = cluster.node(`node${number}`);
      await host.attach(west, { addresses: [`172.29.0.${number}/24`, `fd00:29::${number}/64`] });
      attached.push(name);
      const elected = elect(attached, address);
      await reachedAt(await settled(addresses, (name) => name === elected), addresses);
    }
    await service.delete();
  });

  test("who loses the carrier of the pool's interface hands over at once, although the ring goes on", async (t) => {
    const pools = ["west", "wire", "steady-wire"] as const;
    const exposed = await Promise.all(pools.map((pool) => expose(`on-${pool}`, pool)));
    for (const [index, pool] of pools.entries()) {
      const { service, addresses } = exposed[index] ?? assert.fail();
      const first = await settled(addresses);
      await reachedAt(first, addresses);
      await west.unplug(first.host);
      const [second] = cluster.nodes.filter(({ name }) => name !== first.name && name !== "node3");
      assert.ok(second);
      t.diagnostic(`pool ${pool}: the neighbor was answered by the other node after ${await reachedAt(second, addresses)} ms`);
      assert.equal((await settled(addresses)).name, second.name);
      const { members } = JSON.parse((await second.speaker.get("/v1/members")).body);
      assert.equal(members.length, 3, "all are members throughout");
      await west.plug(first.host);
      const last = pool === "steady-wire" ? second : first;
      if (last === second) await sleep(2_000);
      await settled(addresses, (name) => name === last.name);
      await reachedAt(last, addresses);
      if (pool === "wire") {
        await west.unplug(first.host);
        await west.unplug(second.host);
        await eventOf(
          cluster,
          "on-wire",
          "noInterface",
          /of pool wire is announced by no node: .*node1 has .*node2 has .*node3 has /,
        );
        for (const { host } of [first, second]) await west.plug(host);
        await settled(addresses);
      }
      await service.delete();
    }
  });
});

suite("without a ring", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await startCluster({ nodes: 2, ring: false, configuration });
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("pools are placed by hash, and the speakers say what is missing", async () => {
    for (const { speaker } of cluster.nodes) {
      const { body } = await speaker.get("/readyz");
      assert.match(body, /warning: l2-placement of west, steady-wire, steady is without effect: it needs the speakers' ring/);
    }
    const annotations = { "metallb.universe.tf/address-pool": "steady" };
    const service = await cluster.expose("web", ["node1", "node2"], { annotations });
    const address = await service.address();
    const first = await owner(cluster, address);
    first.speaker.process.kill("SIGKILL");
    await waitFor("the other node to answer", async () => (await learnedNode(cluster, address))?.name !== first.name);
    await first.speaker.start();
    await waitFor("the first node to answer again", async () => (await learnedNode(cluster, address))?.name === first.name);
  });
});
