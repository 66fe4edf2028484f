import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { GossipNode } from "./testing/index.ts";

const [x, y, other] = ["192.0.2.1", "192.0.2.2", "198.51.100.1"].map(address) as [
  ReturnType<typeof address>,
  ReturnType<typeof address>,
  ReturnType<typeof address>,
];
const members = ["a", "b", "c"];

function pair() {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  a.join({ name: "b" });
  b.join({ name: "a" });
  const heard = () => b.merge(a.payload()).addresses.map(String).sort();
  return { a, b, heard };
}

test("a node tells which nodes may announce an address, and others hear of each address that is concerned", () => {
  const { a, b, heard } = pair();
  a.state.candidates.set(x, ["b", "c"]);
  a.state.candidates.set(other, ["c"]);
  assert.deepEqual(heard(), [x, other].map(String));
  a.state.candidates.set(y, ["a"]);
  assert.deepEqual(heard(), [y.toString()], "the others on the page are as before");
  a.state.candidates.set(y, []);
  heard();
  const told = (of = b) => [x, y, other].map((each) => of.state.candidates.of(each, ["a"], members).join());
  assert.deepEqual([told(), told(a)], Array(2).fill(["b,c", "", "c"]));
  assert.deepEqual([...b.state.candidates.addresses()].map(String).sort(), [x, other].map(String));
  a.state.candidates.set(y, ["b"]);
  a.state.candidates.set(x, []);
  assert.deepEqual(heard(), [x, y].map(String));
  assert.deepEqual(told(), ["", "b", "c"]);
  a.takeUpdates();
  a.state.candidates.set(y, ["b"]);
  assert.deepEqual(a.takeUpdates(), [], "the same again is no update");
  a.state.candidates.set(y, []);
  a.state.candidates.set(other, []);
  heard();
  assert.deepEqual([told(), [...b.state.candidates.addresses()]], [["", "", ""], []]);
});

test("the first of several that tell it of the address counts, and only nodes that are asked for", () => {
  const { a, b } = pair();
  a.state.candidates.set(x, ["c"]);
  b.merge(a.payload());
  b.state.candidates.set(x, ["b"]);
  const { candidates } = b.state;
  assert.deepEqual(candidates.of(x, ["a", "b"], members), ["c"]);
  assert.deepEqual(candidates.of(x, ["b", "a"], members), ["b"]);
  assert.deepEqual(candidates.of(x, ["c", "a"], members), ["c"]);
  assert.deepEqual([candidates.of(x, ["a"], ["b"]), candidates.of(x, [], members)], [[], []]);
});

test("what a node told before it started again, or left, is void", () => {
  for (const end of ["restart", "leave"] as const) {
    const { a, b } = pair();
    a.state.candidates.set(x, ["c"]);
    b.merge(a.payload());
    if (end === "leave") b.state.forget("a");
    else assert.deepEqual(b.state.restarted("a", 2).addresses.map(String), [x.toString()]);
    assert.deepEqual(b.state.candidates.of(x, ["a"], members), [], end);
  }
});
