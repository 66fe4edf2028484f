// Long: routers wait before they take a session again.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoNode } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter, routesFrom, routesTo } from "./bgp-network.ts";
import { metric } from "./observe.ts";

const kinds: readonly RouterKind[] = ["frr", "bird", "gobgp", "openbgpd"];
/** Routers that end a session for another hold time. */
const endsForTimers: readonly RouterKind[] = ["frr", "bird"];
const routerAsn = 65010;
const holdTimeSeconds = 6; // A busy machine can keep it.

const configurationFor = ({ addresses: [address] }: DemoNode, holdTimeSeconds: number) => ({
  asn: routerAsn,
  neighbors: [{ address, asn: nodeAsn, holdTimeSeconds }],
});

/** One session in `/v1/bgp/peers`. */
interface PeerView {
  readonly peer: string;
  readonly state: string;
  readonly stateSeconds: number;
  readonly lastDown?: { readonly what: string; readonly secondsAgo: number };
  readonly flaps: number;
  readonly messagesSent: { readonly update: number };
}

suite("either end of a session restarts, stands still or goes away", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let node: DemoNode;
  const routers: PlacedRouter[] = [];

  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    [node] = network.cluster.nodes as [DemoNode];
    for (const [index, kind] of kinds.entries()) {
      routers.push(await network.router(kind, index + 1, configurationFor(node, holdTimeSeconds)));
    }
    const peers = routers.map(
      ({ v4 }) => `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${v4}, hold-time: ${holdTimeSeconds}s}\n`,
    );
    await network.cluster.configure(`peers:
${peers.join("")}address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
`);
    for (const placed of routers) await established(placed);
  });
  after(() => network[Symbol.asyncDispose]());

  const up = ({ v4 }: PlacedRouter) => metric(node.speaker, "metallb_bgp_session_up", { peer: `${v4}:179` });

  const view = async ({ v4 }: PlacedRouter): Promise<PeerView> => {
    const peers: readonly PeerView[] = JSON.parse((await node.speaker.get("/v1/bgp/peers")).body);
    return peers.find(({ peer }) => peer === `${v4}:179`) ?? assert.fail(`no peer ${v4}`);
  };

  /** How many UPDATEs were sent so far; metrics may be a second old. */
  const updates = async (placed: PlacedRouter): Promise<number> => (await view(placed)).messagesSent.update;

  /** Waits until there is another session than `before`. GoBGP takes none for 30 s after it has reset one; no other router waits by itself. */
  const nextSession = (placed: PlacedRouter, before: PeerView): Promise<PeerView> => {
    const next = async () => {
      const now = await view(placed);
      return now.flaps > before.flaps && now.state === "established" && now;
    };
    return waitFor(`another session with ${placed.router.kind}`, next, { timeout: 60_000 });
  };

  /** Whether each router has had a route to the prefix from the node at every moment since. */
  function watch(prefix: string) {
    const gaps: string[] = [];
    let samples = 0;
    let stopped = false;
    const watchers = routers.map(async (placed) => {
      while (!stopped) {
        samples++;
        if (!(await routesTo(placed, prefix)).has(node.addresses[0])) gaps.push(placed.router.kind);
        await sleep(10);
      }
    });
    const kernels = Promise.all(
      routers.slice(0, 2).map(({ host }) => host.spawn(`monitor-${host.name}`, ["ip", "monitor", "route"])),
    );
    return {
      async stop(): Promise<void> {
        stopped = true;
        await Promise.all(watchers);
        assert.deepEqual(gaps, [], `of ${samples} samples`);
        for (const monitor of await kernels) {
          await monitor.stop();
          assert.deepEqual(
            monitor.lines.filter((line) => line.startsWith(`Deleted ${prefix.replace("/32", "")} `)),
            [],
            "the kernel forwards all the time",
          );
        }
      },
    };
  }

  // First, and before a new speaker: each end of a session makes it wait longer before the next.
  test("a router that is killed or stopped gets everything when it is back", async () => {
    const service = await network.cluster.expose("again", ["node1"]);
    const prefix = `${await service.address()}/32`;
    for (const placed of routers) await routesFrom(placed, prefix, [node.addresses[0]]);
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await Promise.all(routers.map(({ router }) => router.stop(signal)));
      for (const placed of routers)
        await waitFor(`the end of the session with ${placed.router.kind}`, async () => (await up(placed)) === 0);
      for (const { router } of routers) await router.start();
      for (const placed of routers) await routesFrom(placed, prefix, [node.addresses[0]]);
    }
    await service.delete();
  });

  test("no router loses a route while a speaker is killed and started again, and what has gone meanwhile goes then", async () => {
    const [kept, gone] = [await network.cluster.expose("kept", ["node1"]), await network.cluster.expose("gone", ["node1"])];
    const [prefix, goner] = [`${await kept.address()}/32`, `${await gone.address()}/32`];
    for (const placed of routers) for (const each of [prefix, goner]) await routesFrom(placed, each, [node.addresses[0]]);
    const watching = watch(prefix);
    node.speaker.process.kill("SIGKILL");
    await node.speaker.process.exited;
    for (const placed of routers)
      await waitFor(`${placed.router.kind} to keep the route for later`, async () => {
        return (await routesTo(placed, prefix)).get(node.addresses[0])?.stale;
      });
    await gone.delete();
    await node.speaker.start();
    for (const placed of routers)
      await waitFor(
        `${placed.router.kind} to have the route again`,
        async () => (await routesTo(placed, prefix)).get(node.addresses[0])?.stale === false,
      );
    for (const placed of routers) await routesFrom(placed, goner, []);
    await watching.stop();
    await kept.delete();
    for (const placed of routers) await routesFrom(placed, prefix, []);
  });

  test("a router that stands still is given up when the hold time is over, alone, and comes back", async () => {
    const service = await network.cluster.expose("patient", ["node1"]);
    const prefix = `${await service.address()}/32`;
    for (const placed of routers) await routesFrom(placed, prefix, [node.addresses[0]]);
    const [one, ...others] = routers as [PlacedRouter, ...PlacedRouter[]];
    const givenUp = (placed: PlacedRouter) =>
      waitFor(`the session with ${placed.router.kind} to be given up`, async () => (await up(placed)) === 0);
    one.router.freeze();
    await givenUp(one);
    for (const other of others) assert.equal(await up(other), 1, `${other.router.kind} has nothing to do with it`);
    for (const { router } of others) router.freeze();
    for (const other of others) await givenUp(other);
    for (const { v4, router } of routers) {
      const expirations = await metric(node.speaker, "ingot_bgp_hold_timer_expirations_total", { peer: `${v4}:179` });
      assert.ok((expirations ?? 0) > 0, `${router.kind} was given up because of its silence`);
    }
    for (const { router } of routers) router.thaw();
    for (const placed of routers) {
      await waitFor(`the session with ${placed.router.kind}`, async () => (await up(placed)) === 1);
      await routesFrom(placed, prefix, [node.addresses[0]]);
    }
    await service.delete();
  });

  /** A router that stands still: its kernel takes a connection, and nobody answers on it. */
  const silent = (placed: PlacedRouter) =>
    waitFor("a connection that nobody answers on", async () => (await view(placed)).state === "openSent", { timeout: 30_000 });

  test("a router that ended the session by a Cease of any kind has another one soon", async (t) => {
    const [address] = node.addresses;
    const ends = {
      cleared: ({ router }: PlacedRouter) => router.clear(address),
      "shut down, and up again": ({ router }: PlacedRouter) => router.shut(address).then(() => router.unshut(address)),
      "configured otherwise": ({ router, v4 }: PlacedRouter) =>
        router.reload({ ...configurationFor(node, holdTimeSeconds + 1), routerId: v4 }),
    };
    for (const placed of routers)
      for (const [what, end] of Object.entries(ends)) {
        if (end === ends["configured otherwise"] && !endsForTimers.includes(placed.router.kind)) continue;
        const before = await view(placed);
        await end(placed);
        const { lastDown, stateSeconds } = await nextSession(placed, before);
        const seconds = (lastDown?.secondsAgo ?? 0) - stateSeconds;
        t.diagnostic(`${placed.router.kind}, ${what}: ${seconds.toFixed(1)} s without a session, ${lastDown?.what}`);
      }
  });

  test("a router that took connections and said nothing has a session soon after it is started anew", async (t) => {
    const before = new Map<PlacedRouter, PeerView>();
    for (const placed of routers) {
      await established(placed);
      before.set(placed, await view(placed));
    }
    for (const { router } of routers) router.freeze();
    for (const placed of routers) await silent(placed);
    await Promise.all(
      [...before].map(async ([placed, view]) => {
        await placed.router.stop("SIGKILL");
        await placed.router.start();
        const startedAt = performance.now();
        await nextSession(placed, view);
        t.diagnostic(`${placed.router.kind}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s after its start`);
      }),
    );
  });

  test("a router whose end of a connection went unheard, before it said anything, has a session again soon after", async () => {
    const { lan } = network.cluster;
    const placed = routers.find(({ router }) => router.kind === "bird") as PlacedRouter;
    const { router, host } = placed;
    router.freeze(); // Its kernel goes on to take connections.
    await silent(placed);
    await lan.isolate(host);
    await router.stop("SIGKILL");
    await router.start();
    await lan.rejoin(host);
    await waitFor("the session", async () => (await up(placed)) === 1, { timeout: 90_000 });
  });

  test("a router that asks for everything gets it again", async () => {
    const service = await network.cluster.expose("asked", ["node1"]);
    const prefix = `${await service.address()}/32`;
    for (const placed of routers.filter(({ router }) => router.kind !== "gobgp")) {
      await routesFrom(placed, prefix, [node.addresses[0]]);
      const before = await updates(placed);
      await placed.router.refresh(node.addresses[0]);
      await waitFor(`${placed.router.kind} to get it again`, async () => (await updates(placed)) > before);
    }
    await service.delete();
  });
});
