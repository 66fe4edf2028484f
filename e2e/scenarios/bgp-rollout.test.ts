// Long: routers wait before they take a session again.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bfdRefusal } from "#e2e/bfd";
import type { DemoNode } from "#e2e/demo-cluster";
import { type Host, waitFor } from "#e2e/lab";
import { BgpNetwork, established, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { metric } from "./observe.ts";
import type { Flows } from "./udp-flows.ts";

const kinds = ["frr", "bird"] as const;
const routerAsn = 65010;
/** So slow that a machine that stands still for a second or two is no failure. */
const bfd = { intervalMs: 300, multiplier: 12 };
/** BIRD's own: for so long it lets a neighbor have no session after what it takes for an error. Nothing here waits for as long. */
const errorWaitSeconds = 300;
/** Packets that were under way as routes changed. */
const maxLost = 5;

suite("what a speaker does on purpose is no failure to a router with BFD", { skip: await bfdRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let nodes: readonly DemoNode[];
  let all: readonly string[];
  let address: string;
  const routers: PlacedRouter[] = [];
  const clients: Host[] = [];

  const configure = (of: readonly PlacedRouter[], fields = ", bfd-profile: fast"): Promise<unknown> => {
    const session = `my-asn: ${nodeAsn}, peer-asn: ${routerAsn}`;
    return network.cluster.configure(`bfd-profiles: [{name: fast, transmit-interval: 300, receive-interval: 300, detect-multiplier: 12}]
peers: [${of.map(({ v4 }) => `{${session}, peer-address: ${v4}${fields}}`).join()}]
address-pools: [{name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}]
`);
  };
  /** The routers have the routes of all nodes, and BFD is up where the peers have it. */
  const settled = async (hasBfd = true): Promise<void> => {
    for (const placed of routers) await routesFrom(placed, `${address}/32`, all);
    for (const { speaker } of nodes)
      for (const { v4: peer } of routers)
        await waitFor(`BFD of ${speaker.name} with ${peer}`, async () => {
          return (await metric(speaker, "metallb_bfd_session_up", { peer })) === (hasBfd ? 1 : undefined);
        });
  };

  /** The sessions are those of a configuration with this hold time. */
  const haveHoldTime = async (seconds: number): Promise<void> => {
    for (const { speaker } of nodes)
      await waitFor(`sessions of ${speaker.name} with ${seconds} s`, async () => {
        const peers: { session?: { holdTimeSeconds: number } }[] = JSON.parse((await speaker.get("/v1/bgp/peers")).body);
        return peers.every(({ session }) => session?.holdTimeSeconds === seconds);
      });
  };

  before(async () => {
    network = await BgpNetwork.start({ nodes: 3 });
    nodes = network.cluster.nodes;
    all = nodes.map(({ addresses: [v4] }) => v4);
    for (const [index, kind] of kinds.entries()) {
      const neighbors = all.map((v4) => ({ address: v4, asn: nodeAsn, bfd, errorWaitSeconds }));
      const placed = await network.router(kind, index + 1, { asn: routerAsn, multipath: 8, neighbors });
      routers.push(placed);
      clients.push(await network.outside(placed));
    }
    await configure(routers);
    const service = await network.cluster.expose("web", ["node1", "node2", "node3"], { policy: "Local", protocols: ["UDP"] });
    address = await service.address();
    for (const placed of routers) await established(placed);
    await settled();
  });
  after(() => network?.[Symbol.asyncDispose]());

  async function stream(client: Host): Promise<{ stop(): Promise<Flows> }> {
    const script = fileURLToPath(new URL("udp-flows.ts", import.meta.url));
    const process = await client.spawn(`flows-${client.name}`, ["node", script, address, "80"]);
    await process.waitForLine(/^answered$/);
    return {
      async stop() {
        await process.stop();
        return JSON.parse(await process.waitForLine(/^\{/));
      },
    };
  }

  test("a rollout, which goes on when a speaker is ready and does not ask routers, loses nothing", async () => {
    const streams = await Promise.all(clients.map(stream));
    for (const { speaker } of nodes) {
      await speaker.stop();
      await speaker.start();
      await waitFor(`${speaker.name} to be ready`, () => speaker.ready());
    }
    await settled();
    for (const [index, each] of streams.entries()) {
      const { lost, sent } = await each.stop();
      assert.ok(lost.length <= maxLost, `${kinds[index]}: ${lost.length} of ${sent}`);
    }
  });

  const changes: Readonly<Record<string, readonly (() => Promise<unknown>)[]>> = {
    "a profile that is taken off peers, and that established peers get": [
      () => configure(routers, "").then(() => settled(false)),
      () => configure(routers),
    ],
    "peers that are taken away and come back": [
      async () => {
        await configure([]);
        for (const placed of routers) await routesFrom(placed, `${address}/32`, []);
      },
      () => configure(routers),
    ],
    "a change that takes new sessions": [() => configure(routers, ", bfd-profile: fast, hold-time: 30s"), () => haveHoldTime(30)],
  };
  for (const [what, steps] of Object.entries(changes))
    test(`${what}: the routers have all routes again, and BFD is up`, async () => {
      for (const step of steps) await step();
      await settled();
    });
});
