import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Listeners, listenersOf } from "./listeners.ts";

const header = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
const line = (inode: number, waiting: number, { protocol = 0, groups = "00000551" } = {}) =>
  `0000000000000000 ${protocol}   812        ${groups} ${waiting}        0        0     2        0        ${inode}\n`;

test("those who are told of addresses or routes are listeners, other netlink sockets are not", () => {
  const text = `${header}${line(1, 700)}${line(2, 0, { groups: "00000040" })}${line(3, 9, { groups: "00000001" })}${line(4, 9, { protocol: 9 })}`;
  assert.deepEqual(listenersOf(text), [
    { inode: "1", waiting: 700 },
    { inode: "2", waiting: 0 },
  ]);
});

test("property: whatever the file says, it is read without an error", () => {
  const tokens = fc.array(fc.oneof(fc.constantFrom("0", "00000551", "70000", "x", "\n", "-1"), fc.string({ maxLength: 12 })));
  fc.assert(
    fc.property(tokens, (parts) => {
      for (const { waiting } of listenersOf(parts.join(" "))) assert.ok(Number.isFinite(waiting) && waiting >= 0);
    }),
  );
});

test("a listener that reads is waited for, one that does not is not, until it has read again", () => {
  const sockets = new Map([
    [1, 0],
    [2, 0],
    [3, 200_000], // Its own, which it reads between changes.
  ]);
  const listeners = new Listeners(() => header + [...sockets].map(([inode, waiting]) => line(inode, waiting)).join(""));
  assert.equal(listeners.areBehind(0, "3"), false);
  sockets.set(1, 100_000);
  assert.equal(listeners.areBehind(10, "3"), true);
  sockets.set(1, 1_000);
  assert.equal(listeners.areBehind(12, "3"), false);
  sockets.set(2, 200_000); // It is stopped.
  assert.equal(listeners.areBehind(20, "3"), true);
  assert.equal(listeners.areBehind(119, "3"), true);
  assert.equal(listeners.areBehind(120, "3"), false);
  assert.equal(listeners.areBehind(121, "3"), false);
  sockets.set(1, 100_000);
  assert.equal(listeners.areBehind(122, "3"), true, "the other one is waited for all the same");
  sockets.set(1, 0).set(2, 0);
  assert.equal(listeners.areBehind(123, "3"), false);
  sockets.set(2, 200_000);
  assert.equal(listeners.areBehind(124, "3"), true);
});

test("without the kernel's list nobody is waited for", () => {
  assert.equal(new Listeners(() => undefined).areBehind(0, "3"), false);
});
