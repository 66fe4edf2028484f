// Nobody expects an address to move, even for a moment, where an edit is not about where it is announced. EDITS=100 EDITS_SEED=7
// draws more of them, and others.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoNode, DemoService } from "#e2e/demo-cluster";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { seededRandom } from "#pkg/clock/testing";
import { BgpNetwork, established, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { base, editObjects, edits, every, objectEdits, owned, routerAsn } from "./harmless-edits.ts";
import { answered, loads } from "./observe.ts";
import { routeChanges } from "./route-changes.ts";

const rounds = Number(process.env.EDITS ?? 20);
const seed = Number(process.env.EDITS_SEED ?? 1);

suite("edits that are not about where an address is announced move none", {
  skip: (await Lab.refusal()) || (await routerRefusal("bird")),
}, () => {
  let network: BgpNetwork;
  let nodes: readonly DemoNode[];
  let router: PlacedRouter;
  const addresses: Record<string, string> = {}; // pool -> address of its Service

  before(async () => {
    network = await BgpNetwork.start({ nodes: 3, netAdmin: true });
    const { cluster } = network;
    nodes = cluster.nodes;
    const all = nodes.map(({ addresses: [v4] }) => v4);
    const neighbors = all.map((address) => ({ address, asn: nodeAsn }));
    router = await network.router("bird", 1, { asn: routerAsn, multipath: 8, neighbors });
    await cluster.configure(JSON.stringify(base()));
    for (const pool of every) {
      const annotations = { "metallb.universe.tf/address-pool": pool };
      const service: DemoService = await cluster.expose(`on-${pool}`, ["node1", "node2", "node3"], { annotations });
      addresses[pool] = await service.address();
    }
    await established(router);
    await routesFrom(router, `${addresses.routes}/32`, all);
    for (const pool of owned) await answered(cluster, addresses[pool] ?? "", /^on-/);
    for (const { host } of nodes)
      await waitFor(`the address in the kernel of ${host.name}`, async () =>
        (await host.output(["ip", "addr", "show", "dev", "kube-lb0"])).includes(`${addresses.kernels}/`),
      );
  });
  after(() => network?.[Symbol.asyncDispose]());

  const said = ({ speaker }: DemoNode, event: string) => speaker.process.lines.filter((line) => line.includes(`"${event}"`));
  const memberChanges = () => nodes.reduce((sum, node) => sum + said(node, "membersChanged").length, 0);

  /** The announcements, entries of kernels and routes that were taken back so far. */
  function taken(monitors: readonly LabProcess[], routes: LabProcess): readonly string[] {
    const withdrawn = nodes.flatMap((node) => said(node, "serviceWithdrawn"));
    const own = Object.values(addresses);
    const deleted = monitors.flatMap(({ name, lines }) =>
      lines
        .filter((line) => line.includes("Deleted") && own.some((one) => line.includes(` ${one}/`)))
        .map((line) => `${name}: ${line}`),
    );
    const gone = routeChanges(routes.lines, addresses.routes ?? "").filter((change) => change === "Deleted");
    return [...withdrawn, ...deleted, ...gone.map(() => "the router's route is gone")];
  }

  const names = [...Object.keys(edits), ...Object.keys(objectEdits)];

  test(`${rounds} times some of ${names.length} edits, drawn by seed ${seed}`, async () => {
    const { cluster } = network;
    const objects = { services: every.map((pool) => `on-${pool}`), nodes: nodes.map(({ name }) => name) };
    const random = seededRandom(seed);
    const monitors: LabProcess[] = [];
    for (const { host } of nodes) monitors.push(await host.spawn(`monitor-${host.name}`, ["ip", "-o", "monitor", "address"]));
    const routes = await router.host.spawn("monitor-routes", ["ip", "monitor", "route"]);
    const present = new Set<string>();
    let judged = 0;
    for (let round = 1; round <= rounds; round++) {
      const drawn = Array.from({ length: 1 + Math.floor(random() * 3) }, () => names[Math.floor(random() * names.length)] ?? "");
      const known = taken(monitors, routes).length;
      const changesBefore = memberChanges();
      for (const name of drawn) {
        if (!present.delete(name)) present.add(name);
        const edit = objectEdits[name];
        if (edit !== undefined) await editObjects(cluster.api, objects, edit, present.has(name));
      }
      const configuration = base();
      for (const name of names) if (present.has(name)) edits[name]?.(configuration);
      const before = nodes.map(loads);
      await cluster.configure(JSON.stringify({ ...configuration, "bgp-communities": { round: `64512:${round}` } }));
      for (const [index, node] of nodes.entries())
        await waitFor(`${node.name} to load ${[...present].join(", ")}`, () => loads(node) > (before[index] ?? 0));
      await sleep(500);
      const what = `round ${round}: ${drawn.join(", ")} changed; there are ${[...present].join(", ")}`;
      // Where the machine stood still, speakers took one another for dead, which does move addresses.
      if (memberChanges() > changesBefore) continue;
      judged++;
      assert.deepEqual(taken(monitors, routes).slice(known), [], what);
    }
    assert.ok(judged > rounds / 2, `${judged} of ${rounds} rounds say something`);
    for (const pool of owned) await answered(cluster, addresses[pool] ?? "", /^on-/);
  });
});
