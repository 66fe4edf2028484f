import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { elect } from "#pkg/placement";
import { amongOthers, Bench, eth0, gossipTo, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import { isOutdated, viewAgeSeconds } from "./api-view.ts";

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const local = { externalTrafficPolicy: "Local" } as const;
const everywhere = Object.fromEntries(nodes.map((node) => [node, true]));

test("what a node announces is reported when the API has been lost for 2 s, and its view is old after 60 s", () => {
  const { bench } = amongOthers(owner, lan);
  const lost = bench.clock.now();
  const seen = () => [bench.gossip.announcers(x), bench.gossip.view(owner), isOutdated(bench.state)];
  bench.runner.dispatch({ type: "apiLost", since: lost });
  bench.clock.advanceBy(1_999);
  assert.deepEqual(seen(), [[], "current", false]);
  bench.clock.advanceBy(1);
  assert.deepEqual(seen(), [[owner], "behind", false]);
  assert.deepEqual(bench.reported, [], "that is nobody's business yet");
  bench.clock.advanceBy(57_999);
  assert.deepEqual(seen(), [[owner], "behind", false]);
  bench.clock.advanceBy(1);
  assert.deepEqual(seen(), [[owner], "old", true]);
  assert.equal(viewAgeSeconds(bench.state, bench.clock.now()), 60);
  assert.match(bench.reported.join(), /"apiViewOld","seconds":60/);
  bench.settle();
  assert.deepEqual(bench.onWire, [x], "it goes on with what it has");
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  assert.deepEqual([...seen(), viewAgeSeconds(bench.state, bench.clock.now())], [[owner], "current", false, 0]);
  bench.clock.advanceBy(10_000);
  assert.deepEqual(seen(), [[], "current", false]);
});

test("an API that is back within 2 s is nobody's business", () => {
  const { bench } = amongOthers(owner, lan);
  for (let i = 0; i < 10; i++) {
    bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
    bench.clock.advanceBy(1_999);
    bench.runner.dispatch({ type: "apiLost", since: Infinity });
    bench.clock.advanceBy(5_000);
  }
  assert.deepEqual([bench.reported, bench.gossip.announcers(x)], [[], []]);
});

test("what a node does not know of that has lost the API goes to another one, and it keeps what it announces", () => {
  const { bench, others, hear } = amongOthers(loser, lan);
  const old = others.find(({ name }) => name === owner);
  assert.ok(old);
  old.state.setAnnounced(address(x), true);
  old.state.setView("behind");
  hear();
  bench.settle();
  assert.equal(bench.state.placements.get(x)?.[0]?.owner, owner);
  const mine = Array.from({ length: 10 }, (_, i) => `192.0.2.${i + 2}`);
  for (const ip of mine) bench.serve(`default/${ip}`, [ip]);
  bench.settle();
  const owners = () => mine.map((ip) => bench.state.placements.get(ip)?.[0]?.owner);
  assert.ok(!owners().includes(owner));
  old.state.setView("current");
  hear();
  bench.settle();
  assert.ok(owners().includes(owner));
});

test("a Local Service goes from a node with an old view to another one, which reports that, and only then the first yields", () => {
  const fresh = amongOthers(loser, lan);
  const old = amongOthers(owner, lan);
  for (const { bench } of [fresh, old]) {
    bench.serve("default/web", [x], local, everywhere);
    bench.settle();
  }
  assert.deepEqual([old.bench.onWire, fresh.bench.onWire], [[x], []]);
  old.bench.runner.dispatch({ type: "apiLost", since: old.bench.clock.now() });
  old.bench.clock.advanceBy(60_000);
  old.bench.settle();
  assert.deepEqual(old.bench.onWire, [x], "while nobody else does");
  const other = fresh.others.find(({ name }) => name === owner);
  const successor = old.others.find(({ name }) => name === loser);
  assert.ok(other && successor);
  other.state.setAnnounced(address(x), true);
  other.state.setView("behind");
  fresh.hear();
  fresh.bench.settle();
  assert.deepEqual(fresh.bench.onWire, [], "it may be back");
  other.state.setView("old");
  for (const { name, state } of fresh.others)
    if (name !== owner) state.setReachability({ answers: false, hasKernelAccess: true, interfaces: new Map() });
  fresh.hear();
  fresh.bench.settle();
  assert.deepEqual([fresh.bench.onWire, fresh.bench.gossip.announcers(x)], [[x], [owner, loser]]);
  successor.state.setAnnounced(address(x), true);
  old.hear();
  old.bench.settle();
  assert.deepEqual(old.bench.onWire, []);
});

test("one of the nodes that see what changes records an event of one that does not, once, and one of its end", () => {
  const recorded = nodes
    .filter((node) => node !== owner)
    .flatMap((node) => {
      const { bench, others, hear } = amongOthers(node, lan);
      const old = others.find(({ name }) => name === owner);
      for (const view of ["behind", "old", "old", "current"] as const) {
        old?.state.setView(view);
        hear();
      }
      return bench.reported.filter((line) => /^(apiViewOld|nodeFaultEnded) /.test(line));
    });
  assert.equal(recorded.length, 2);
  assert.match(
    recorded[0] ?? "",
    new RegExp(`apiViewOld Node ${owner} the speaker on node "${owner}" has not reached the API for 60 s`),
  );
  assert.equal(recorded[1], `nodeFaultEnded Node ${owner} the speaker on node "${owner}" reaches the API again`);
});

test("a node whose Node was deleted is another one when there is one of its name again, which has not lost the API", () => {
  for (const deletedFirst of [true, false]) {
    const ended = nodes
      .filter((node) => node !== owner)
      .flatMap((node) => {
        const { bench, others, hear } = amongOthers(node, lan);
        others.find(({ name }) => name === owner)?.state.setView("old");
        hear();
        if (deletedFirst) bench.setNode(owner, undefined);
        bench.runner.dispatch({ type: "member", change: "failed", node: owner, incarnation: 1, life: 1, macs: undefined });
        bench.membersChanged(nodes.filter((other) => other !== owner));
        if (!deletedFirst) bench.setNode(owner, undefined);
        others.find(({ name }) => name === owner)?.state.setView("current");
        bench.setNode(owner, {});
        bench.membersChanged(nodes);
        hear();
        return bench.reported.filter((line) => line.startsWith("nodeFaultEnded "));
      });
    assert.deepEqual(ended, []);
  }
});

test("a node that leaves an address at the end of a cut, before others hear that it had it, knows that one without the API keeps it", () => {
  const elected = elect(
    nodes.filter((node) => node !== owner),
    address(x),
  );
  const [self = ""] = nodes.filter((node) => node !== owner && node !== elected);
  const { bench, others, hear } = amongOthers(self, lan);
  bench.membersChanged([self]);
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
  const blind = others.find(({ name }) => name === owner);
  blind?.state.setAnnounced(address(x), true);
  blind?.state.setView("behind");
  bench.membersChanged([...nodes]);
  hear();
  bench.settle();
  assert.deepEqual([bench.onWire, bench.state.placements.get(x)?.[0]?.owner], [[], owner]);
});

test("nodes that are the only ones left, or all have an old view, go on as before", () => {
  const { bench, others, hear } = amongOthers(owner, lan);
  bench.serve("default/web", [x], local, { [owner]: true });
  bench.settle();
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(60_000);
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
  for (const { state } of others) state.setView("old");
  hear();
  bench.serve("default/web", [x], local, everywhere);
  bench.settle();
  assert.deepEqual([bench.onWire, isOutdated(bench.state)], [[x], false]);
});

/** Three nodes place a Local Service. This node is the first of them, and the second has the endpoints and sees no changes in the API. */
function besideBlind() {
  const [self = "", blind = "", third = ""] = nodes;
  const { bench, others, hear } = amongOthers(self, lan);
  const [itself] = others.filter(({ name }) => name === blind);
  assert.ok(itself);
  itself.state.setView("behind");
  hear();
  const placed = () => {
    bench.settle();
    const told = bench.gossip.candidates.of(address(x), [self], nodes);
    return [bench.onWire.join(), bench.state.placements.get(x)?.[0]?.owner ?? "", told.join()];
  };
  const serve = (...endpoints: readonly string[]) =>
    bench.serve("default/web", [x], local, Object.fromEntries(endpoints.map((node) => [node, true])));
  return { bench, blind, third, itself, others, hear, placed, serve };
}

test("nodes that see the API tell one that does not that it has the last endpoint of a Local Service, for as long as that is so", () => {
  const { blind, third, itself, hear, placed, serve } = besideBlind();
  serve(third, blind);
  assert.deepEqual(placed(), ["", third, ""]);
  serve(blind);
  assert.deepEqual(placed(), ["", blind, blind]);
  itself.state.setAnnounced(address(x), true);
  hear();
  assert.deepEqual(placed(), ["", blind, blind], "it announces the address for that word alone");
  serve(third, blind);
  assert.deepEqual(placed(), ["", third, ""], "another one is elected that sees for itself");
  serve(blind);
  itself.state.setView("current");
  hear();
  assert.deepEqual(placed(), ["", blind, ""]);
});

test("a node that sees the API again tells that once more, also of a pool that does not select it", () => {
  const { bench, blind, placed, serve } = besideBlind();
  bench.setConfig(pools(lan.replace("}", ", node-selectors: [{match-labels: {edge: yes}}]}")));
  bench.setNode(blind, { edge: "yes" });
  serve(blind);
  assert.deepEqual(placed(), ["", blind, blind]);
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(2_000);
  assert.deepEqual(placed(), ["", blind, ""]);
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  assert.deepEqual(placed(), ["", blind, blind]);
});

test("a node that announced a Local Service before it lost the API is told nothing of it", () => {
  const { blind, itself, hear, placed, serve } = besideBlind();
  itself.state.setAnnounced(address(x), true);
  hear();
  serve(blind);
  assert.deepEqual(placed(), ["", blind, ""]);
});

/** A fourth member joins, or one of the three is back. */
function join(bench: Bench, node: string, active: readonly string[]): void {
  bench.runner.dispatch({ type: "member", change: "joined", node, incarnation: 0, life: 1, macs: undefined });
  bench.membersChanged([...active]);
}

test("nodes are told nothing new for a second after a member joined: the cut that it was behind may end for others a moment later", () => {
  const { bench, blind, third, hear, placed, serve } = besideBlind();
  const apart = nodes.filter((node) => node !== third);
  bench.membersChanged(apart);
  join(bench, blind, apart);
  serve(third, blind);
  assert.deepEqual(placed(), ["", blind, ""]);
  bench.clock.advanceBy(20);
  join(bench, third, nodes);
  hear();
  assert.deepEqual(placed(), ["", third, ""]);
  bench.clock.advanceBy(2_000);
  assert.deepEqual(placed(), ["", third, ""], "the deadline is void");
  join(bench, "node4", nodes);
  serve(blind);
  assert.deepEqual(placed(), ["", blind, ""]);
  bench.clock.advanceBy(999);
  assert.deepEqual(placed(), ["", blind, ""]);
  bench.clock.advanceBy(1);
  assert.deepEqual(placed(), ["", blind, blind]);
  join(bench, "node5", nodes);
  assert.deepEqual(placed(), ["", blind, blind], "what is told stays");
});

test("nodes are told what is new while others go on joining, and at once what another member tells already", () => {
  const { bench, blind, placed, serve } = besideBlind();
  serve(blind);
  for (let i = 0; i < 10; i++) {
    join(bench, `node${i + 4}`, nodes);
    const [, , told] = placed();
    assert.equal(told, i < 4 ? "" : blind, `${i}`);
    bench.clock.advanceBy(250);
  }
  const other = besideBlind();
  join(other.bench, "node4", nodes);
  const [teller] = other.others.filter(({ name }) => name === other.third);
  teller?.state.candidates.set(address(x), [other.blind]);
  other.hear();
  other.serve(other.blind);
  assert.deepEqual(other.placed(), ["", other.blind, other.blind]);
});

test("two members tell it, and the third does once one of these is gone", () => {
  const [first = "", second = "", last = ""] = ["node1", "node2", "node3"];
  const { bench, others, hear } = amongOthers(last, lan);
  for (const name of [first, second]) {
    const view = name === second ? "behind" : "current";
    others.find((other) => other.name === name)?.state.setView(view);
  }
  hear();
  bench.serve("default/web", [x], local, { [second]: true });
  bench.settle();
  const told = () => bench.gossip.candidates.of(address(x), [last], nodes);
  assert.deepEqual(told(), [second], "the second that sees the API");
  others.find(({ name }) => name === second)?.state.setView("current");
  others.find(({ name }) => name === first)?.state.setView("current");
  hear();
  bench.settle();
  assert.deepEqual(told(), []);
});

test("a node that has lost the API announces a Local Service that others tell it of, and leaves it when they do not, or do to another", () => {
  const { bench, others, hear } = amongOthers(loser, lan);
  const [teller, another] = others;
  assert.ok(teller && another);
  bench.serve("default/web", [x], local, { [owner]: true });
  bench.settle();
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(2_000);
  const announced = (told: readonly string[]) => {
    teller.state.candidates.set(address(x), told);
    hear();
    bench.settle();
    return bench.onWire;
  };
  assert.deepEqual(announced([]), []);
  assert.deepEqual(announced([loser]), [x]);
  assert.ok(bench.gossip.announcers(x).includes(loser), "the others know");
  assert.deepEqual(announced([another.name]), []);
  assert.deepEqual(announced([loser]), [x]);
  teller.state.setView("behind");
  hear();
  bench.settle();
  assert.deepEqual(bench.onWire, [], "it knows no more than this node");
  teller.state.setView("current");
  hear();
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  bench.settle();
  assert.deepEqual(bench.onWire, [], "it sees for itself");
});

test("what a MetalLB speaker leaves to a node that has lost the API, and does not announce it, another one announces", () => {
  const others = nodes.filter((node) => node !== owner);
  const metallb = elect(others, address(x)) ?? "";
  const [self = ""] = others.filter((node) => node !== metallb);
  const bench = new Bench(self, { hasRing: true });
  const ring = gossipTo(bench, [metallb]);
  bench.membersChanged(nodes, [metallb]);
  bench.setInterfaces(eth0);
  bench.setConfig(pools(lan));
  bench.serve("default/web", [x]);
  bench.start();
  const announced = () => {
    ring.hear();
    bench.settle();
    return bench.onWire;
  };
  assert.deepEqual(announced(), []);
  const [blind] = ring.others;
  assert.equal(blind?.name, owner);
  blind?.state.setAnnounced(address(x), true);
  blind?.state.setView("behind");
  assert.deepEqual(announced(), [], "it keeps what it announces");
  blind?.state.setAnnounced(address(x), false);
  assert.deepEqual(announced(), [x]);
  blind?.state.setAnnounced(address(x), true);
  assert.deepEqual(announced(), [x], "it leaves to a node that sees the API what both announce");
  blind?.state.setView("current");
  assert.deepEqual(announced(), []);
});

const bgp = "{name: routed, protocol: bgp, addresses: [192.0.2.0/28]}";
const router = "{peer-address: 192.0.2.254, peer-asn: 64512, my-asn: 64512}";

test("by BGP a node with an old view leaves a Local Service to nodes that see what changes, as long as they announce it", () => {
  const { bench, others, hear } = amongOthers(owner, bgp, router);
  const [other] = others;
  assert.ok(other);
  bench.serve("default/web", [x], local, everywhere);
  bench.serve("default/all", ["192.0.2.2"], {}, everywhere);
  const routed = () => {
    bench.settle();
    return [...bench.routes.keys()].sort();
  };
  const both = [x, "192.0.2.2"];
  assert.deepEqual(routed(), both);
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(59_999);
  other.state.setAnnounced(address(x), true);
  other.state.setAnnounced(address("192.0.2.2"), true);
  hear();
  assert.deepEqual(routed(), both, "it may be back");
  bench.clock.advanceBy(1);
  assert.deepEqual(routed(), ["192.0.2.2"]);
  assert.deepEqual(bench.gossip.announcers(x).toSorted(), [other.name, owner].sort(), "the others go on reporting");
  other.state.setView("behind");
  hear();
  assert.deepEqual(routed(), both, "nobody knows better");
  other.state.setView("current");
  hear();
  assert.deepEqual(routed(), ["192.0.2.2"]);
  other.state.setAnnounced(address(x), false);
  hear();
  assert.deepEqual(routed(), both, "no other route is left");
  other.state.setAnnounced(address(x), true);
  hear();
  assert.deepEqual(routed(), ["192.0.2.2"]);
  bench.runner.dispatch({ type: "member", change: "failed", node: other.name, incarnation: 0, life: 1, macs: undefined });
  bench.membersChanged(nodes.filter((node) => node !== other.name));
  assert.deepEqual(routed(), both, "the other one is gone");
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  bench.endpoints("default/web", {});
  assert.deepEqual(routed(), ["192.0.2.2"]);
});

test("by BGP a node reports that it announces a Local Service while one does whose view is not current", () => {
  const { bench, others, hear } = amongOthers(owner, bgp, router);
  const [other] = others;
  bench.serve("default/web", [x], local, everywhere);
  bench.settle();
  other?.state.setAnnounced(address(x), true);
  hear();
  assert.deepEqual(bench.gossip.announcers(x), [other?.name]);
  other?.state.setView("behind");
  hear();
  assert.deepEqual(bench.gossip.announcers(x).toSorted(), [other?.name, owner].sort());
  bench.endpoints("default/web", { [other?.name ?? ""]: true });
  bench.settle();
  assert.deepEqual(bench.gossip.announcers(x), [other?.name]);
});

const both = "{name: both, protocol: [layer2, bgp], addresses: [192.0.2.0/28]}";

test("of a pool with both protocols a node that advertises a Local Service by BGP does not report it as its owner", () => {
  const { bench, others, hear } = amongOthers(loser, both, router);
  const old = others.find(({ name }) => name === owner);
  assert.ok(old);
  bench.serve("default/web", [x], local, everywhere);
  old.state.setAnnounced(address(x), true);
  old.state.setAdvertised(address(x), true);
  old.state.setView("behind");
  hear();
  bench.settle();
  const seen = () => [bench.onWire, bench.gossip.announcers(x), bench.gossip.advertisers(x).toSorted()];
  assert.deepEqual(seen(), [[], [owner], [owner, loser].sort()]);
  old.state.setAnnounced(address(x), false);
  hear();
  bench.settle();
  const successors = nodes.filter((node) => node !== owner);
  const [placement] = bench.state.placements.get(x) ?? [];
  assert.deepEqual([placement?.protocol, placement?.candidates], ["layer2", successors], "the owner has given it up");
  bench.setConfig(pools(bgp, router));
  bench.settle();
  assert.deepEqual([bench.onWire, bench.gossip.announcers(x), bench.gossip.advertisers(x)], [[], [], [owner]]);
  old.state.setAnnounced(address(x), true);
  hear();
  assert.deepEqual(bench.gossip.announcers(x).toSorted(), [owner, loser].sort(), "no owners: as versions before report it");
});

test("of a pool with both protocols an owner that has lost the API leaves neither to nodes that have just the other", () => {
  const { bench, others, hear } = amongOthers(owner, both, router);
  const [other] = others;
  assert.ok(other);
  bench.serve("default/web", [x], local, everywhere);
  bench.settle();
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(2_000);
  other.state.setAdvertised(address(x), true);
  hear();
  bench.settle();
  assert.deepEqual(bench.onWire, [x], "others leave it to this node until its view is old");
  bench.clock.advanceBy(58_000);
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[x], []]);
  other.state.setAdvertised(address(x), false);
  other.state.setAnnounced(address(x), true);
  hear();
  bench.settle();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[], [x]], "the other one may have no peer");
});

test("a node without the API that cannot deliver keeps the route of a Local Service until another one says that it advertises the address", () => {
  const peer = "{peer-address: 10.0.0.1, peer-asn: 65002, my-asn: 65001}";
  const one = amongOthers(owner, "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}", peer);
  one.bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [owner]: true, [loser]: true });
  const other = one.others.find(({ name }) => name === loser) ?? assert.fail();
  other.state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "noPeer" }]]));
  for (const { state } of one.others) state.setView("behind");
  one.hear();
  const look = (...IPv4: "noPodRoute"[]) => {
    one.bench.runner.dispatch({ type: "dataPath", faults: { IPv4, IPv6: [] }, hasPods: true });
    one.bench.settle();
  };
  look();
  one.bench.runner.dispatch({ type: "apiLost", since: one.bench.clock.now() });
  one.bench.clock.advanceBy(2_000);
  look("noPodRoute");
  one.bench.clock.advanceBy(5_000);
  one.bench.settle();
  assert.equal(one.bench.routes.size, 1);
  other.state.setAnnounced(address(x), true);
  one.hear();
  one.bench.settle();
  assert.equal(one.bench.routes.size, 0);
});
