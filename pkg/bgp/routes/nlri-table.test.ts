import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { atOnce } from "#pkg/clock";
import { families, type Prefix } from "#pkg/net";
import { prefix } from "#pkg/net/testing";
import { NlriTable } from "./nlri-table.ts";
import type { RouteAttributes } from "./route.ts";
import { RoutesOut } from "./routes-out.ts";
import { localEnd, negotiated, route } from "./testing/fixtures.ts";
import { Listener } from "./testing/listener.ts";

const plain = route();

/** Calls of a method of all Maps or Sets while something is done: what grows with them is moved again and again. */
function callsOf(prototype: { add?: unknown; set?: unknown }, name: "add" | "set", act: () => void): number {
  const original = prototype[name] as (...args: unknown[]) => unknown;
  let calls = 0;
  prototype[name] = function (this: unknown, ...args: unknown[]) {
    calls++;
    return original.apply(this, args);
  };
  try {
    act();
  } finally {
    prototype[name] = original;
  }
  return calls;
}

test("a prefix is put into one table, not into one for each peer, and no set grows with what waits", () => {
  const table = new NlriTable();
  const prefixes = Array.from({ length: 2_000 }, (_, i) => prefix(`10.0.${i >> 8}.${i & 255}/32`));
  const peers = Array.from({ length: 64 }, () => new RoutesOut({ table }));
  for (const routes of peers) routes.start(negotiated(), localEnd());
  const act = () => {
    for (const each of prefixes) for (const routes of peers) routes.advertise(each, plain);
  };
  let sets = 0;
  const maps = callsOf(Map.prototype, "set", () => {
    sets = callsOf(Set.prototype, "add", act);
  });
  assert.equal(table.size, prefixes.length);
  assert.deepEqual([maps, sets], [prefixes.length + peers.length, 0], "each prefix once, and one queue for each peer");
  for (const routes of peers) {
    while (routes.next() !== undefined);
    assert.equal(routes.advertised, prefixes.length);
  }
});

test("numbers are free once no peer wants or has them, and a peer that is gone gives all of its own back", () => {
  const table = new NlriTable();
  const [one, two] = [prefix("198.51.100.1/32"), prefix("198.51.100.2/32")];
  const [first, second] = [new RoutesOut({ table }), new RoutesOut({ table })];
  for (const routes of [first, second])
    routes.advertisePaths(
      one,
      new Map([
        [1, plain],
        [2, plain],
      ]),
    );
  first.advertise(two, plain);
  assert.equal(table.size, 4);
  first.start(negotiated(), localEnd());
  while (first.next() !== undefined);
  first.withdraw(two);
  assert.equal(table.size, 4, "the router still has it");
  while (first.next() !== undefined);
  assert.equal(table.size, 3);
  first.withdraw(one);
  atOnce(first.discard());
  assert.equal(table.size, 3, "the second one has these");
  second.withdraw(one);
  assert.equal(table.size, 0);
  assert.equal(table.get(one), undefined);
});

test("a peer that is gone gives them back a thousand at a time", () => {
  const table = new NlriTable();
  const routes = new RoutesOut({ table });
  const paths = new Map(Array.from({ length: 16 }, (_, index) => [index + 1, plain]));
  for (let i = 0; i < 200; i++) routes.advertisePaths(prefix(`198.51.100.${i}/32`), paths);
  const before = table.size;
  const rest = routes.discard();
  assert.equal(table.size, before, "nothing at once");
  for (let left = before; rest.next().done !== true; left = table.size)
    assert.ok(left - table.size <= 1_000, `${left}, ${table.size}`);
  assert.equal(table.size, 0);
});

test("peers that share the table send what each of them is to have, whatever comes and goes", () => {
  const prefixes = ["198.51.100.0/32", "198.51.100.1/32", "198.51.100.2/32", "2001:db8::/64"].map(prefix);
  const kinds = [plain, route({ med: 1 }), route({ med: 2 })];
  const count = 3;
  const change = fc.record({
    peer: fc.nat(count - 1),
    prefix: fc.constantFrom(...prefixes),
    act: fc.constantFrom("advertise", "paths", "withdraw", "pull", "restart", "replace"),
    kind: fc.nat(kinds.length - 1),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const table = new NlriTable();
      const make = (peer: number) => {
        const agreed = negotiated(peer === 0 ? { addPath: new Set(families) } : {});
        return { agreed, routes: new RoutesOut({ table, entriesAtOnce: 2 }), listener: new Listener(agreed), wanted: new Map() };
      };
      const start = (one: ReturnType<typeof make>) => {
        one.routes.start(one.agreed, localEnd());
        one.listener = new Listener(one.agreed);
      };
      const peers = Array.from({ length: count }, (_, peer) => make(peer));
      for (const one of peers) start(one);
      for (const { peer, prefix, act, kind } of changes) {
        const one = peers[peer] as ReturnType<typeof make>;
        const attributes = kinds[kind] as RouteAttributes;
        const set = (key: Prefix, has: string) => {
          for (const path of [0, 1, 2]) one.wanted.delete(`${key}#${path}`);
          for (const path of has) one.wanted.set(`${key}#${path}`, attributes.med);
        };
        if (act === "advertise") {
          one.routes.advertise(prefix, attributes);
          set(prefix, "0");
        } else if (act === "paths") {
          const paths = new Map([1, 2].slice(0, 1 + (kind % 2)).map((path) => [path, attributes]));
          one.routes.advertisePaths(prefix, paths);
          set(prefix, peer === 0 ? [...paths.keys()].join("") : "0");
        } else if (act === "withdraw") {
          one.routes.withdraw(prefix);
          set(prefix, "");
        } else if (act === "pull") one.listener.pull(one.routes);
        else if (act === "restart") {
          one.routes.stop();
          start(one);
        } else {
          atOnce(one.routes.discard());
          peers[peer] = make(peer);
          start(peers[peer] as ReturnType<typeof make>);
        }
      }
      for (const { routes, listener, wanted } of peers) {
        for (let times = 0; times < 20; times++) listener.pull(routes);
        const has = [...listener.table].map(([key, { med }]) => [key.includes("#") ? key : `${key}#0`, med] as const);
        assert.deepEqual(new Map(has.sort()), new Map([...wanted].sort()));
        assert.equal(routes.pending, 0);
        atOnce(routes.discard());
      }
      assert.equal(table.size, 0);
    }),
  );
});
