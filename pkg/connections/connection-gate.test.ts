import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { ConnectionGate, type RefusedSources } from "./connection-gate.ts";

const member = "192.0.2.1";
const stranger = "203.0.113.1";

function gate() {
  const clock = new SimulatedClock();
  const refusals: (RefusedSources | undefined)[] = [];
  const refused: string[] = [];
  const gate = new ConnectionGate({
    clock,
    maxOfSource: 50,
    maxOfStrangers: 500,
    known: { has: (address) => address === member, addresses: [member] },
    onRefused: (address) => refused.push(address),
  });
  gate.start({ refuse: (refusal) => refusals.push(refusal) });
  /** @returns how many of these connections may stay */
  const connect = (count: number, address: string | ((index: number) => string) = stranger) =>
    Array.from({ length: count }, (_, i) => gate.admits(typeof address === "string" ? address : address(i))).filter(Boolean)
      .length;
  return { clock, refusals, refused, gate, connect };
}

for (const source of [stranger, member])
  test(`of 11,000 connections a second of ${source === member ? "a member" : "one source"} 50 are taken, and the kernel drops the others`, () => {
    const { clock, refusals, refused, connect } = gate();
    assert.equal(connect(51, source), 50);
    assert.deepEqual(refusals, [{ sources: [source], allBut: undefined }]);
    assert.deepEqual(refused, [source]);
    // Connections that were waiting already.
    assert.equal(connect(511, source), 0);
    assert.equal(refusals.length, 1);
    const other = source === member ? stranger : member;
    assert.equal(connect(10, other), 10);
    clock.advanceBy(1100);
    assert.deepEqual(refusals.splice(0), [{ sources: [source], allBut: undefined }, undefined]);
    assert.equal(connect(51, source), 50);
    assert.equal(refusals.length, 1);
  });

test("500 connections a second of unknown sources are taken, and members connect as before", () => {
  const { refusals, refused, clock, connect } = gate();
  assert.equal(
    connect(11_000, (i) => `198.51.${i >> 8}.${i & 255}`),
    500,
  );
  assert.deepEqual(refusals, [{ sources: [], allBut: [member] }]);
  assert.deepEqual(refused, ["198.51.1.244"]);
  assert.equal(connect(50, member), 50);
  assert.equal(connect(1, member), 0);
  assert.deepEqual(refusals.at(-1), { sources: [member], allBut: [member] });
  clock.advanceBy(1100);
  assert.equal(refusals.at(-1), undefined);
  assert.equal(connect(1), 1);
});

test("who connects 50 times in a window is never refused", () => {
  const { refusals, clock, connect } = gate();
  for (let second = 0; second < 10; second++) {
    assert.equal(connect(50), 50);
    clock.advanceBy(1100);
  }
  assert.deepEqual(refusals, []);
});

test("as many sources are refused by name as a filter has room for", () => {
  const { refusals, connect } = gate();
  assert.equal(
    connect(300 * 51, (i) => `198.51.${(i % 300) >> 8}.${(i % 300) & 255}`),
    500,
  );
  assert.equal(refusals.at(-1)?.sources.length, 256);
});

test("a gate that is disposed of changes nothing any more", () => {
  const { clock, gate: ended, refusals, connect } = gate();
  connect(51);
  ended[Symbol.dispose]();
  clock.advanceBy(1100);
  connect(51);
  assert.equal(refusals.length, 1);
  assert.deepEqual(clock.pending(), []);
});
