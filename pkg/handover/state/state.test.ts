import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address } from "#pkg/net/testing";
import type { Handover } from "./shape.ts";
import {
  apply,
  createTable,
  type Elements,
  hex,
  inherit,
  noElements,
  plan,
  type TableState,
  want,
  wantSpeakers,
} from "./state.ts";

const far = 600_000;

function handover(n: number, to = 2, from?: readonly string[], lingers = false): Handover {
  return { address: address(`192.0.2.${n}`), to: address(`10.0.0.${to}`), interfaceIndex: 3, from, lingers, until: far };
}

/** Plans and carries out until nothing is left. @returns how many changes that took */
function settle(table: TableState, atOnce = 100): number {
  for (let turns = 0; ; turns++) {
    const changes = plan(table, 0, atOnce);
    if (changes.length === 0) return turns;
    assert.ok(turns < 1_000, "it comes to an end");
    apply(table, changes);
  }
}

function keys(elements: Elements | undefined): Record<string, string[]> {
  const of = (set: keyof Elements) =>
    [...(elements?.[set] ?? [])].map(([key, { value }]) => `${key} ${value ? hex(value) : ""}`).sort();
  return { speakers: of("speakers"), links: of("links"), owned: of("owned"), passed: of("passed") };
}

test("the speakers are known in the change that hands anything over: else a packet could come back", () => {
  const table = createTable("IPv4");
  wantSpeakers(table, ["02:00:00:00:00:01", "no MAC address"]);
  want(table, address("192.0.2.1"), handover(1));
  const sets = plan(table, 0, 100).flatMap((change) => (change.type === "addElements" ? [change.set] : []));
  assert.deepEqual(sets, ["speakers", "links", "owned"]);
});

test("what this node no longer owns it takes from the node that has it now, and from no other", () => {
  const table = createTable("IPv4");
  want(table, address("192.0.2.1"), handover(1, 2, ["02:00:00:00:00:05"]));
  settle(table);
  assert.deepEqual(keys(table.found), {
    speakers: [],
    links: ["c0000201 03000000"],
    owned: [],
    passed: ["0200000000050000c0000201 0a000002"],
  });
});

test("what the former owner itself hands to this node goes on to another one", () => {
  const table = createTable("IPv4");
  want(table, address("192.0.2.1"), { ...handover(1), beyond: { from: ["02:00:00:00:00:02"], to: address("10.0.0.3") } });
  settle(table);
  assert.deepEqual(keys(table.found), {
    speakers: [],
    links: ["c0000201 03000000"],
    owned: ["c0000201 0a000002"],
    passed: ["0200000000020000c0000201 0a000003"],
  });
});

test("speakers that an earlier life knew stay, because one of them may be away: what it hands to this node would go round", () => {
  const table = createTable("IPv4");
  const key = Uint8Array.of(2, 0, 0, 0, 0, 9);
  table.found = noElements();
  table.found.speakers.set("020000000009", { key, until: Infinity });
  inherit(table, far);
  wantSpeakers(table, ["02:00:00:00:00:01"]);
  want(table, address("192.0.2.1"), handover(1));
  table.isComplete = true;
  settle(table);
  assert.deepEqual(keys(table.found).speakers, ["020000000001 ", "020000000009 "]);
});

test("what an earlier life left stays until all is known, then goes with the table", () => {
  const table = createTable("IPv4");
  table.found = noElements();
  table.found.owned.set("c0000201", { key: Uint8Array.of(192, 0, 2, 1), value: Uint8Array.of(10, 0, 0, 2), until: Infinity });
  assert.deepEqual(plan(table, 0, 100), []);
  table.isComplete = true;
  assert.deepEqual(plan(table, 0, 100), [{ type: "deleteTable" }]);
});

test("what an earlier life handed over goes on when all is known, until it is said what is to be done with the address", () => {
  const table = createTable("IPv4");
  want(table, address("192.0.2.1"), handover(1));
  want(table, address("192.0.2.2"), handover(2));
  settle(table);
  const next = createTable("IPv4");
  next.found = table.found;
  inherit(next, far);
  next.isComplete = true;
  settle(next);
  assert.deepEqual(keys(next.found).owned, ["c0000201 0a000002", "c0000202 0a000002"]);
  want(next, address("192.0.2.1"), handover(1, 3));
  settle(next);
  assert.deepEqual(keys(next.found).owned, ["c0000201 0a000003", "c0000202 0a000002"]);
  for (const n of [1, 2]) want(next, address(`192.0.2.${n}`), undefined);
  settle(next);
  assert.equal(next.found, undefined);
});

test("beside what is wanted already, what an earlier life left stays until all is known", () => {
  const table = createTable("IPv4");
  table.found = noElements();
  table.found.owned.set("c0000202", { key: Uint8Array.of(192, 0, 2, 2), value: Uint8Array.of(10, 0, 0, 2), until: Infinity });
  want(table, address("192.0.2.1"), handover(1));
  settle(table);
  assert.deepEqual(keys(table.found).owned, ["c0000201 0a000002", "c0000202 0a000002"]);
  table.isComplete = true;
  settle(table);
  assert.deepEqual(keys(table.found).owned, ["c0000201 0a000002"]);
});

test("a handover that begins again lasts its whole time: the kernel keeps the first time of what is only added again", () => {
  const renewals = (table: TableState) =>
    plan(table, 0, 100).flatMap((change) =>
      "elements" in change ? [`${change.type} ${change.set} ${change.elements.length}`] : [],
    );
  const renewed = ["deleteElements links 1", "addElements links 1", "deleteElements owned 1", "addElements owned 1"];
  const table = createTable("IPv4");
  want(table, address("192.0.2.1"), handover(1));
  settle(table);
  want(table, address("192.0.2.1"), undefined);
  want(table, address("192.0.2.1"), { ...handover(1), until: 2 * far });
  assert.deepEqual(renewals(table), renewed);
  settle(table);
  const next = createTable("IPv4");
  want(next, address("192.0.2.1"), handover(1));
  next.found = table.found;
  inherit(next, far);
  assert.deepEqual(renewals(next), renewed, "in the next life of the speaker");
  settle(next);
});

test("what is over is not put there", () => {
  const table = createTable("IPv4");
  want(table, address("192.0.2.1"), handover(1));
  apply(table, plan(table, far, 100));
  assert.equal(table.found?.owned.size, 0);
});

test("property: from whatever the kernel has, portions lead to what is wanted, and then nothing is left to do", () => {
  const one = fc.record({
    n: fc.integer({ min: 1, max: 40 }),
    to: fc.integer({ min: 2, max: 5 }),
    lingers: fc.boolean(),
    from: fc.option(fc.subarray(["02:00:00:00:00:01", "02:00:00:00:00:02"], { minLength: 1 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(one), fc.array(one, { minLength: 1 }), fc.integer({ min: 1, max: 30 }), (before, after, atOnce) => {
      const table = createTable("IPv4");
      table.isComplete = true;
      for (const each of [before, after]) {
        for (const { address: of } of [...table.handovers.values()]) want(table, of, undefined);
        for (const { n, to, from, lingers } of each) want(table, address(`192.0.2.${n}`), handover(n, to, from, lingers));
        settle(table, atOnce);
      }
      assert.deepEqual(keys(table.found), keys(table.wanted));
    }),
  );
});
