import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { bfdRefusal, losePackets } from "#e2e/bfd";
import type { DemoNode } from "#e2e/demo-cluster";
import { Bfdd, type BfddPeer } from "#e2e/routers";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "./bgp-network.ts";
import { says } from "./observe.ts";
import { Tool } from "./tool.ts";

const routerAsn = 65010;
const bfd = { intervalMs: 100, multiplier: 3 };

/**
 * Beside BIRD, which does BFD too, there is a router whose BFD is FRR's. GoBGP does not hear of that: its session goes on in any state
 * of BFD.
 */
suite("ingotctl explains what BFD says of the path to a router", { skip: await bfdRefusal("bird", "frr") }, () => {
  let network: BgpNetwork;
  let tool: Tool;
  let node: DemoNode;
  let bird: PlacedRouter;
  let gobgp: PlacedRouter;
  let bfdd: Bfdd | undefined;
  before(async () => {
    network = await BgpNetwork.start({ nodes: 1 });
    tool = new Tool(network.cluster);
    [node] = network.cluster.nodes as [DemoNode];
    const neighbor = { address: node.addresses[0], asn: nodeAsn, passive: true };
    bird = await network.router("bird", 1, { asn: routerAsn, neighbors: [{ ...neighbor, bfd }] });
    gobgp = await network.router("gobgp", 2, { asn: routerAsn, neighbors: [neighbor] });
    await configure();
    await network.cluster.expose("web", ["node1"]);
    for (const each of [bird, gobgp]) await established(each);
  });
  after(async () => {
    await bfdd?.[Symbol.asyncDispose]();
    tool?.[Symbol.dispose]();
    await network?.[Symbol.asyncDispose]();
  });

  async function configure(more = ""): Promise<void> {
    await network.cluster.configure(`peers:
${[bird, gobgp].map(({ v4 }) => `- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${v4}, bfd-profile: fast${more}}`).join("\n")}
address-pools:
- {name: main, protocol: bgp, addresses: [198.51.100.0/24]}
bfd-profiles: [{name: fast, transmit-interval: 100, receive-interval: 100}]
`);
  }

  /** BFD beside GoBGP, for every test from now on. */
  const startBfdd = async (): Promise<Bfdd> => {
    const often = session("transmit-interval 100", "receive-interval 100");
    bfdd ??= await Bfdd.start(network.cluster.lab, gobgp.host, [often]);
    return bfdd;
  };
  const session = (...settings: readonly string[]): BfddPeer => {
    return { peer: `${node.addresses[0]} local-address ${gobgp.v4} interface eth0`, settings };
  };
  const well = ({ v4 }: PlacedRouter) => tool.explains(`peer/${v4}`, /: Ready \(established\)/);

  test("a router without BFD: its session is up, and what that lacks is said until the router has it", async () => {
    await well(bird);
    await tool.explains("svc/web", [
      /^Service default\/web: Announced .*Peer 172\.30\.0\.242:179 .*: Degraded \(bfdUnknown\)/s,
      /is established and carries 1 prefix, but BFD is not up: nothing has been received from the peer yet/,
      /To do: enable BFD for this node on the router, and let UDP 3784 \(multihop: 4784\) pass in both directions/,
    ]);
    await startBfdd();
    await well(gobgp);
  });

  test("a router on which BFD is shut down", async () => {
    const running = await startBfdd();
    const { since: upSince } = await says(node.speaker, "established", "peer", `${gobgp.v4}:179`);
    await running.configure(session("shutdown"));
    const { state, since, evidence } = await says(node.speaker, "bfdAdminDown", "peer", `${gobgp.v4}:179`);
    assert.ok(state === "Degraded" && since > upSince, `${state} since ${since}, and up since ${upSince}`);
    assert.match(JSON.stringify(evidence), /"BFD","value":"the peer signals administratively down, for /);
    await tool.explains(`peer/${gobgp.v4}`, [
      /Degraded \(bfdAdminDown\)/,
      /To do: enable BFD for this node on the router again, or take bfd-profile off the peer/,
    ]);
    await running.configure(session("no shutdown"));
    await well(gobgp);
  });

  test("a path that fails takes the session down, and that is the reason for as long as it lasts", async () => {
    await network.cluster.lan.isolate(bird.host);
    const key = `${bird.v4}:179`;
    const first = await says(node.speaker, "bfdFailed", "peer", key);
    assert.equal(first.state, "Pending");
    await tool.explains("svc/web", [
      /Peer 172\.30\.0\.241:179 .*: Pending \(bfdFailed\).*; since then: /s,
      /^Service default\/web: Degraded \(someSessionsDown\)/,
      /closed with Cease\/BFD Down \(6\/10\)/,
      /To do: look for what fails or drops packets between this node and the router: links, switches/,
    ]);
    const { since } = await says(node.speaker, "bfdFailed", "peer", key);
    assert.ok(Math.abs(Date.parse(since) - Date.parse(first.since)) < 1_000, "attempts to connect do not make it younger");
    await network.cluster.lan.rejoin(bird.host);
    await well(bird);
  });

  test("a path that loses packets of BFD alone", async () => {
    await startBfdd();
    await well(gobgp);
    {
      await using _ = await losePackets(gobgp.host, ["input", "output"]);
      await tool.explains(`peer/${gobgp.v4}`, [
        /Degraded \(bfdFailed\)/,
        /is established and carries 1 prefix, but BFD is not up: control detection time expired/,
        /To do: look for .*firewalls \(UDP 3784, multihop: 4784\), BFD on the router/,
      ]);
    }
    await well(gobgp);
  });

  test("a node whose firewall lets no BFD out", async () => {
    await startBfdd();
    for (const each of [bird, gobgp]) await well(each);
    {
      await using _ = await losePackets(node.host, ["output"]);
      await tool.explains("node/node1", [
        /Degraded \(bfd\)/,
        /BFD session with 172\.30\.0\.24[12]: Cannot send a datagram: sendto: EPERM/,
        /let the node's firewall pass UDP 3784 and 4784/,
      ]);
    }
    await tool.explains("node/node1", /^(?!.*\(bfd\))/s);
    for (const each of [bird, gobgp]) await well(each);
  });

  test("a strict session waits for a path that failed", async () => {
    const running = await startBfdd();
    await configure(", bfd-strict: true");
    await well(gobgp);
    await running[Symbol.asyncDispose]();
    bfdd = undefined;
    await tool.explains(`peer/${gobgp.v4}`, [
      /Pending \(waitsForBfd\)/,
      /waits: BFD is not up, and bfd-strict is set: /,
      /To do: enable BFD for this node on the router, and look for what drops UDP 3784/,
    ]);
  });
});
