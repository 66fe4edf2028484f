// Scenario: what routing daemons make of BFD and passwords with speakers that have no capability.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoNode, Workload } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { Bfdd, type RouterKind, routerRefusal } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { says } from "./observe.ts";

const kinds = ["frr", "bird"] as const satisfies readonly RouterKind[];
const routerAsn = 65010;
const password = "rack-7";

suite("central speakers have sessions with a password and BFD", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let nodes: readonly DemoNode[];
  let centrals: readonly [Workload, Workload];
  let routers: readonly PlacedRouter[];
  let prefix: string;

  const configure = (given: string, more = ""): Promise<unknown> => {
    const peers = routers.map(
      ({ v4 }) =>
        `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${v4}, hold-time: 90s, connect-time: 1s, add-path: true, bfd-profile: slow, password: ${given}}\n`,
    );
    return network.cluster.configure(`peers:
${peers.join("")}bfd-profiles:
- {name: slow, transmit-interval: 500, receive-interval: 500}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
${more}`);
  };

  before(async () => {
    network = await BgpNetwork.start({ nodes: 2, families: ["IPv4"], centralSpeakers: 2 });
    nodes = network.cluster.nodes;
    centrals = network.cluster.centralSpeakers as readonly [Workload, Workload];
    const bfd = { intervalMs: 500, multiplier: 3 };
    const neighbors = nodes.map(({ addresses: [address] }) => ({ address, asn: nodeAsn, addPath: true, bfd, password }));
    const make = (kind: RouterKind, index: number) =>
      network.router(kind, index + 1, { asn: routerAsn, neighbors, multipath: 4 });
    routers = await Promise.all(kinds.map(make));
    await configure(password);
    for (const router of routers) await established(router);
    prefix = `${await (await network.cluster.expose("web", ["node1", "node2"])).address()}/32`;
  });
  after(() => network?.[Symbol.asyncDispose]());

  /** Waits until each router has a path to each node from each of these central speakers, and no others. */
  async function pathsFrom(senders: readonly DemoNode[]): Promise<void> {
    const wanted = senders.flatMap((sender) => nodes.map((node) => `${node.addresses[0]} from ${sender.addresses[0]}`)).sort();
    for (const { router } of routers)
      await waitFor(`${router.kind} to have paths from ${senders.map(({ name }) => name)}`, async () => {
        const routes = (await router.routes()).filter((route) => route.prefix === prefix);
        assert.deepEqual(routes.map(({ from, nextHops: [hop] }) => `${hop} from ${from}`).sort(), wanted);
        return true;
      });
  }

  /** Waits until the speaker's BFD sessions with all routers are up. */
  async function isWatching(central: Workload): Promise<void> {
    await waitFor(`BFD of ${central.name}`, async () => {
      const sessions: readonly { readonly verdict: string }[] = JSON.parse((await central.get("/v1/bfd/sessions")).body);
      return sessions.length === routers.length && sessions.every(({ verdict }) => verdict === "up");
    });
  }

  test("both come up with all routers", async () => {
    await pathsFrom(nodes);
    for (const central of centrals) await isWatching(central);
  });

  test("one that stands still loses its paths long before the hold time is over, and the other one's stay", async () => {
    const [first, second] = centrals;
    const [, sender] = nodes as [DemoNode, DemoNode];
    first.process.kill("SIGSTOP"); // Its kernel acknowledges what routers send.
    await pathsFrom([sender]);
    first.process.kill("SIGCONT");
    await pathsFrom(nodes);
    for (const central of [first, second]) await isWatching(central);
  });

  test("with another password there is no session, and the verdict names the password", async () => {
    await configure("other");
    for (const central of centrals) for (const { v4 } of routers) await says(central, "connectTimeout", "peer", `${v4}:179`);
    await configure(password);
    await pathsFrom(nodes);
  });

  test("where the nodes' speakers watch one another by BFD, the verdict says that they have the port", async () => {
    await configure(password, "failover: {interval: 100ms}\n");
    for (const [index, central] of centrals.entries()) await says(central, "bfd", "node", `central/node${index + 1}`);
    await configure(password);
    await pathsFrom(nodes);
  });
});

suite("a central speaker watches nodes by BFD where the ring does not", { skip: await routerRefusal(...kinds) }, () => {
  let network: BgpNetwork;
  let nodes: readonly [DemoNode, DemoNode, DemoNode];
  let router: PlacedRouter;
  let prefix: string;
  let daemons: readonly Bfdd[];
  const stack = new AsyncDisposableStack();

  before(async () => {
    network = stack.use(await BgpNetwork.start({ nodes: 3, families: ["IPv4"], centralSpeakers: 1, ring: false }));
    nodes = network.cluster.nodes as unknown as typeof nodes;
    const [{ addresses: own }, ...others] = nodes;
    const settings = ["receive-interval 100", "transmit-interval 100"];
    daemons = await Promise.all(
      others.map(async ({ host, addresses: [address] }) => {
        const peer = `${own[0]} local-address ${address} interface eth0`;
        return stack.use(await Bfdd.start(network.cluster.lab, host, [{ peer, settings }]));
      }),
    );
    const neighbors = [{ address: own[0], asn: nodeAsn, addPath: true }];
    router = await network.router("bird", 1, { asn: routerAsn, neighbors, multipath: 4 });
    await network.cluster.configure(`peers:
- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${router.v4}, connect-time: 1s, add-path: true}
failover: {interval: 100ms}
address-pools:
- {name: main, protocol: bgp, avoid-buggy-ips: true, addresses: [198.51.100.0/24]}
`);
    prefix = `${await (await network.cluster.expose("web", ["node1", "node2"])).address()}/32`;
  });
  after(() => stack.disposeAsync());

  /** Waits until the router has a path to each of these nodes, and no others. */
  async function leadsTo(wanted: readonly DemoNode[]): Promise<void> {
    await waitFor(`paths to ${wanted.map(({ name }) => name)}`, async () => {
      const routes = (await router.router.routes()).filter((route) => route.prefix === prefix);
      assert.deepEqual(routes.map(({ nextHops: [hop] }) => hop).sort(), wanted.map(({ addresses: [address] }) => address).sort());
      return true;
    });
  }

  /** To the kubelets of none of them does anything happen: the API calls all nodes ready throughout. */
  test("a node that answers no more is no next hop until it does", async () => {
    await leadsTo(nodes);
    for (const daemon of daemons)
      await waitFor("BFD to be up", async () => (await daemon.statuses()).every(({ status }) => status === "up"));
    const [first, second, third] = nodes;
    await network.cluster.lan.isolate(third.host);
    await leadsTo([first, second]);
    await network.cluster.lan.rejoin(third.host);
    await leadsTo(nodes);
  });

  test("where most answer no more the API's word counts, and the verdict names them", async () => {
    const [, second] = nodes;
    const [central] = network.cluster.centralSpeakers as [Workload];
    for (const daemon of daemons) daemon.process.kill("SIGSTOP");
    await waitFor("the verdict to name both", async () => {
      const { message } = await says(central, "fastPathOff", "node", "central/node1");
      assert.match(message, /no BFD session with node2, node3/);
      return true;
    });
    await leadsTo(nodes);
    daemons[0]?.process.kill("SIGCONT");
    await leadsTo([nodes[0], second]);
    daemons[1]?.process.kill("SIGCONT");
    await leadsTo(nodes);
  });
});
