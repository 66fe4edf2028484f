import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { amongOthers, loser, nodes, owner, x } from "../testing/speaker-bench.ts";
import { isOutdated, viewAgeSeconds } from "./api-view.ts";

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const local = { externalTrafficPolicy: "Local" } as const;
const everywhere = Object.fromEntries(nodes.map((node) => [node, true]));

test("a view is old when the API has been lost for 70 s, and for 10 s before this node reports what it announces", () => {
  const { bench } = amongOthers(owner, lan);
  const lost = bench.clock.now();
  const seen = () => [bench.gossip.announcers(x), bench.gossip.isViewOld(owner), isOutdated(bench.state)];
  bench.runner.dispatch({ type: "apiLost", since: lost });
  bench.clock.advanceBy(59_999);
  assert.deepEqual(seen(), [[], false, false]);
  bench.clock.advanceBy(1);
  assert.deepEqual(seen(), [[owner], false, false]);
  bench.clock.advanceBy(10_000);
  assert.deepEqual(seen(), [[owner], true, true]);
  assert.equal(viewAgeSeconds(bench.state, bench.clock.now()), 70);
  assert.match(bench.reported.join(), /"apiViewOld","seconds":70/);
  bench.settle();
  assert.deepEqual(bench.onWire, [x], "it goes on with what it has");
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  assert.deepEqual([...seen(), viewAgeSeconds(bench.state, bench.clock.now())], [[owner], false, false, 0]);
  bench.clock.advanceBy(10_000);
  assert.deepEqual(seen(), [[], false, false]);
});

test("an API that is back within a minute is nobody's business", () => {
  const { bench } = amongOthers(owner, lan);
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(59_000);
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  bench.clock.advanceBy(60_000);
  assert.deepEqual([bench.reported, bench.gossip.announcers(x)], [[], []]);
});

test("what a node with an old view does not know of goes to another one, and it keeps what it announces", () => {
  const { bench, others, hear } = amongOthers(loser, lan);
  const old = others.find(({ name }) => name === owner);
  assert.ok(old);
  old.state.setAnnounced(address(x), true);
  old.state.setViewOld(true);
  hear();
  bench.settle();
  assert.equal(bench.state.placements.get(x)?.owner, owner);
  const mine = Array.from({ length: 10 }, (_, i) => `192.0.2.${i + 2}`);
  for (const ip of mine) bench.serve(`default/${ip}`, [ip]);
  bench.settle();
  const owners = () => mine.map((ip) => bench.state.placements.get(ip)?.owner);
  assert.ok(!owners().includes(owner));
  old.state.setViewOld(false);
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
  old.bench.clock.advanceBy(70_000);
  old.bench.settle();
  assert.deepEqual(old.bench.onWire, [x], "while nobody else does");
  const other = fresh.others.find(({ name }) => name === owner);
  const successor = old.others.find(({ name }) => name === loser);
  assert.ok(other && successor);
  other.state.setAnnounced(address(x), true);
  other.state.setViewOld(true);
  for (const { name, state } of fresh.others)
    if (name !== owner) state.setReachability({ answers: false, interfaces: new Map() });
  fresh.hear();
  fresh.bench.settle();
  assert.deepEqual([fresh.bench.onWire, fresh.bench.gossip.announcers(x)], [[x], [owner, loser]]);
  successor.state.setAnnounced(address(x), true);
  old.hear();
  old.bench.settle();
  assert.deepEqual(old.bench.onWire, []);
});

test("one of the nodes that see what changes records an event of one that does not, once", () => {
  const recorded = nodes
    .filter((node) => node !== owner)
    .flatMap((node) => {
      const { bench, others, hear } = amongOthers(node, lan);
      const old = others.find(({ name }) => name === owner);
      for (const isOld of [true, true, false]) {
        old?.state.setViewOld(isOld);
        hear();
      }
      return bench.reported.filter((line) => line.startsWith("apiViewOld"));
    });
  assert.equal(recorded.length, 1);
  assert.match(
    recorded[0] ?? "",
    new RegExp(`apiViewOld Node ${owner} the speaker on node "${owner}" has not reached the API for 70 s`),
  );
});

test("nodes that are the only ones left, or all have an old view, go on as before", () => {
  const { bench, others, hear } = amongOthers(owner, lan);
  bench.serve("default/web", [x], local, { [owner]: true });
  bench.settle();
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(70_000);
  bench.settle();
  assert.deepEqual(bench.onWire, [x]);
  for (const { state } of others) state.setViewOld(true);
  hear();
  bench.serve("default/web", [x], local, everywhere);
  bench.settle();
  assert.deepEqual([bench.onWire, isOutdated(bench.state)], [[x], false]);
});
