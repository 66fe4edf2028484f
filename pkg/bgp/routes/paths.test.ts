import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Family, families } from "#pkg/net";
import { address, prefix } from "#pkg/net/testing";
import { choosePath } from "./choose-path.ts";
import type { RouteAttributes } from "./route.ts";
import { RoutesOut } from "./routes-out.ts";
import { localEnd, negotiated, route } from "./testing/fixtures.ts";
import { Listener } from "./testing/listener.ts";

/** Routes by way of three nodes. */
const nodes = [1, 2, 3].map((node) => route({ nextHop: address(`192.0.2.${100 + node}`) }));
const [first, second, third] = nodes as [RouteAttributes, RouteAttributes, RouteAttributes];
const one = prefix("198.51.100.1/32");
const two = prefix("198.51.100.2/32");
const both = negotiated({ addPath: new Set(families) });

function paths(...through: readonly (readonly [number, RouteAttributes])[]): ReadonlyMap<number, RouteAttributes> {
  return new Map(through);
}

/** A session that has begun, and its other end. */
function begun(routes: RoutesOut, agreed = both): Listener {
  routes.start(agreed, localEnd());
  const listener = new Listener(agreed);
  listener.pull(routes);
  return listener;
}

function received(routes: RoutesOut, listener: Listener): readonly string[] {
  listener.received.length = 0;
  listener.pull(routes);
  return listener.received;
}

test("RFC 7911, section 3: every path is announced and withdrawn by its identifier, and End-of-RIB follows all", () => {
  const routes = new RoutesOut();
  routes.advertisePaths(one, paths([1, first], [2, second]));
  routes.advertisePaths(two, paths([2, second]));
  const listener = begun(routes);
  assert.deepEqual(listener.received, [`announce ${one}#1`, `announce ${one}#2 ${two}#2`, "end of IPv4", "end of IPv6"]);
  assert.deepEqual(listener.table.get(`${one}#2`)?.nextHops, [second.nextHop]);
  routes.advertisePaths(one, paths([1, first], [3, third]));
  assert.deepEqual(received(routes, listener), [`withdraw ${one}#2`, `announce ${one}#3`]);
  routes.withdraw(one);
  assert.deepEqual(received(routes, listener), [`withdraw ${one}#1 ${one}#3`]);
  assert.deepEqual([routes.wanted, routes.advertised, routes.pending, routes.narrowed], [1, 1, 0, 0]);
});

test("End-of-RIB is repeated behind what waits, and not before a session is told all", () => {
  const routes = new RoutesOut();
  routes.repeatEnd();
  routes.advertisePaths(one, paths([1, first]));
  routes.start(both, localEnd());
  routes.repeatEnd();
  const listener = new Listener(both);
  assert.deepEqual(received(routes, listener), [`announce ${one}#1`, "end of IPv4", "end of IPv6"]);
  routes.advertisePaths(one, paths([1, second]));
  routes.repeatEnd();
  assert.deepEqual(received(routes, listener), [`announce ${one}#1`, "end of IPv4", "end of IPv6"]);
  assert.deepEqual(received(routes, listener), []);
});

test("paths that stay are not announced again", () => {
  const routes = new RoutesOut();
  routes.advertisePaths(one, paths([1, first], [2, second]));
  const listener = begun(routes);
  routes.advertisePaths(one, paths([2, second], [1, first]));
  assert.deepEqual(received(routes, listener), []);
  routes.advertisePaths(one, paths([1, first], [2, route({ ...second, med: 5 })]));
  assert.deepEqual(received(routes, listener), [`announce ${one}#2`]);
});

test("a prefix with one route has path identifier 0 in a session with ADD-PATH", () => {
  const routes = new RoutesOut();
  routes.advertise(one, first);
  const listener = begun(routes);
  assert.deepEqual([...listener.table.keys()], [`${one}#0`]);
  routes.advertisePaths(one, paths([1, first], [2, second]));
  listener.pull(routes);
  assert.deepEqual([...listener.table.keys()], [`${one}#1`, `${one}#2`]);
  routes.advertise(one, first);
  listener.pull(routes);
  assert.deepEqual([...listener.table.keys()], [`${one}#0`]);
});

test("a router without ADD-PATH gets one path, and the next one in its place", () => {
  const routes = new RoutesOut();
  const all = paths([1, first], [2, second], [3, third]);
  routes.advertisePaths(one, all);
  const listener = begun(routes, negotiated());
  const chosen = choosePath(one, all);
  assert.deepEqual(listener.table.get(`${one}`)?.nextHops, [chosen?.nextHop]);
  assert.deepEqual([routes.wanted, routes.advertised, routes.narrowed], [1, 1, 1]);
  const left = paths(...[...all].filter(([, each]) => each !== chosen));
  routes.advertisePaths(one, left);
  assert.deepEqual(received(routes, listener), [`announce ${one}`], "the prefix is never without a path");
  assert.deepEqual(listener.table.get(`${one}`)?.nextHops, [choosePath(one, left)?.nextHop]);
  routes.advertisePaths(one, paths());
  assert.deepEqual(received(routes, listener), [`withdraw ${one}`]);
});

test("ADD-PATH is of each family by itself", () => {
  const six = prefix("2001:db8:1::1/128");
  const routes = new RoutesOut();
  routes.advertisePaths(one, paths([1, first], [2, second]));
  const over = [route({ nextHop: address("2001:db8::1") }), route({ nextHop: address("2001:db8::2") })] as const;
  routes.advertisePaths(six, paths([1, over[0]], [2, over[1]]));
  const listener = begun(routes, negotiated({ addPath: new Set<Family>(["IPv6"]) }));
  assert.deepEqual([...listener.table.keys()].sort(), [`${one}`, `${six}#1`, `${six}#2`]);
  assert.equal(routes.narrowed, 1);
});

test("a router that comes back without ADD-PATH, or with it, gets what it takes", () => {
  const routes = new RoutesOut();
  routes.advertisePaths(one, paths([1, first], [2, second]));
  for (const agreed of [both, negotiated(), both]) {
    const expected = agreed === both ? [`${one}#1`, `${one}#2`] : [`${one}`];
    assert.deepEqual([...begun(routes, agreed).table.keys()], expected);
    assert.deepEqual([routes.pending, routes.wanted], [0, expected.length]);
  }
});

test("it is known of a prefix whether all of its paths are sent", () => {
  const routes = new RoutesOut();
  routes.advertisePaths(one, paths([1, first], [2, second]));
  routes.start(both, localEnd());
  assert.deepEqual(routes.standing(one), { state: "waits" });
  new Listener(both).pull(routes, 1);
  assert.deepEqual(routes.standing(one), { state: "waits" }, "one of both");
  new Listener(both).pull(routes);
  assert.deepEqual(routes.standing(one), { state: "sent", nextHops: [first.nextHop, second.nextHop] });
});

test("the path for routers without ADD-PATH spreads over nodes, and stays while its node does", () => {
  const all = paths([1, first], [2, second], [3, third]);
  const counts = new Map<RouteAttributes | undefined, number>();
  for (let index = 0; index < 300; index++) {
    const each = prefix(`198.51.${100 + (index >> 8)}.${index & 255}/32`);
    const chosen = choosePath(each, all);
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
    const gone = [...all].find(([, path]) => path !== chosen);
    assert.equal(choosePath(each, paths(...[...all].filter(([path]) => path !== gone?.[0]))), chosen);
  }
  for (const path of nodes) assert.ok((counts.get(path) ?? 0) > 60, `${[...counts.values()]}`);
  assert.equal(choosePath(one, paths()), undefined);
});

test("whatever happens, the peer ends with the paths that are wanted, or one of them", () => {
  const prefixes = [one, two, prefix("203.0.113.0/24")];
  const anyPaths = fc
    .uniqueArray(fc.constantFrom(1, 2, 3, 4), { maxLength: 4 })
    .map((ids) => paths(...ids.map((id) => [id, nodes[id % 3] as RouteAttributes] as const)));
  const change = fc.oneof(
    fc.record({ type: fc.constant("paths" as const), prefix: fc.constantFrom(...prefixes), paths: anyPaths }),
    fc.record({ type: fc.constant("only" as const), prefix: fc.constantFrom(...prefixes), route: fc.constantFrom(...nodes) }),
    fc.record({ type: fc.constant("withdraw" as const), prefix: fc.constantFrom(...prefixes) }),
    fc.record({ type: fc.constant("pull" as const), most: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ type: fc.constant("refresh" as const) }),
    fc.record({ type: fc.constant("leaving" as const), leaving: fc.boolean() }),
    fc.record({ type: fc.constant("start" as const), addPath: fc.boolean() }),
  );
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.boolean(),
      fc.constantFrom(1, 2, 1_000),
      (changes, marks, entriesAtOnce) => {
        const routes = new RoutesOut({ entriesAtOnce });
        const wanted = new Map<string, ReadonlyMap<number, RouteAttributes>>(); // prefix -> its paths
        let addPath = false;
        let listener = new Listener(both);
        const start = (): void => {
          const agreed = negotiated({ enhancedRouteRefresh: marks, addPath: new Set(addPath ? families : []) });
          routes.start(agreed, localEnd());
          listener = new Listener(agreed);
        };
        start();
        for (const step of changes) {
          if (step.type === "paths") routes.advertisePaths(step.prefix, step.paths);
          if (step.type === "paths") wanted.set(`${step.prefix}`, step.paths);
          if (step.type === "only") routes.advertise(step.prefix, step.route);
          if (step.type === "only") wanted.set(`${step.prefix}`, paths([0, step.route]));
          if (step.type === "withdraw") routes.withdraw(step.prefix);
          if (step.type === "withdraw") wanted.delete(`${step.prefix}`);
          if (step.type === "pull") listener.pull(routes, step.most);
          if (step.type === "refresh") routes.refresh("IPv4");
          if (step.type === "leaving") routes.setLeaving(step.leaving);
          if (step.type === "start") addPath = step.addPath;
          if (step.type === "start") start();
          assert.equal(routes.advertised, listener.table.size, step.type);
        }
        listener.pull(routes);
        const expected = [...wanted].flatMap(([key, all]) => {
          if (addPath) return [...all].map(([path, { nextHop }]) => [`${key}#${path}`, `${nextHop}`]);
          const chosen = all.get(0) ?? choosePath(prefix(key), all);
          return chosen === undefined ? [] : [[key, `${chosen.nextHop}`]];
        });
        assert.deepEqual([...listener.table].map(([key, { nextHops }]) => [key, nextHops.join()]).sort(), expected.sort());
        assert.deepEqual([routes.pending, routes.advertised, routes.wanted], [0, expected.length, expected.length]);
        const several = [...wanted.values()].filter(({ size }) => size > 1);
        assert.equal(routes.narrowed, addPath ? 0 : several.length);
        assert.deepEqual(
          listener.received.filter((line) => line.startsWith("unknown")),
          [],
        );
        for (const each of prefixes) routes.withdraw(each);
        listener.pull(routes);
        assert.equal(listener.table.size, 0);
        start();
        assert.equal(routes.pending, 0, "nothing is kept that is wanted no more");
      },
    ),
  );
});
