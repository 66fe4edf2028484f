import assert from "node:assert/strict";
import { test } from "node:test";
import { FloodFilter } from "./flood-filter.ts";

const member = "192.0.2.1";
const stranger = "203.0.113.1";
const nonceAt = 1;

/** A packet whose nonce begins with a word. */
function packet(word: number): Uint8Array {
  const octets = Buffer.alloc(40);
  octets.writeUInt32BE(word, nonceAt);
  return octets;
}

/** A filter under a flood of 40,000 packets a second, and when that was noticed. */
function flooded(filter = new FloodFilter()) {
  filter.setMembers([member]);
  for (let now = 0; now < 1000; now += 1 / 40) if (filter.reject(now)) return { filter, now };
  assert.fail("there is a flood");
}

test("a flood is noticed within 25 ms, and one in so many of its packets is let through as makes 200 a second", () => {
  const { filter, now } = flooded();
  assert.ok(now <= 25, `${now}`);
  const { oneIn = 0 } = filter.sample([], () => true) ?? {};
  assert.ok(oneIn >= 190 && oneIn <= 210, `${oneIn}`);
  filter.review(now + 1000, 39_800);
  assert.equal(filter.sample([], () => true)?.oneIn, 199);
});

test("fewer than 1,000 packets within a second are none", () => {
  const filter = new FloodFilter();
  for (let now = 0; now < 10_000; now += 1000 / 900) assert.equal(filter.reject(now), false);
  assert.equal(
    filter.sample([], () => true),
    undefined,
  );
});

test("it is over when few come, and noticed again when more do", () => {
  const { filter, now } = flooded();
  for (let index = 0; index < 100; index++) assert.equal(filter.reject(now + 1), false, "it is going on");
  filter.review(now + 1000, 300);
  assert.equal(
    filter.sample([], () => true),
    undefined,
  );
  flooded(filter);
});

test("packets of a member are told by their nonces, and by its address until there is one", () => {
  const { filter } = flooded();
  filter.setMembers([member, "192.0.2.2"]);
  filter.accept(packet(7), "192.0.2.2");
  const { words, sources } = filter.sample(["203.0.113.1"], () => true) ?? {};
  assert.deepEqual({ words, sources }, { words: [7], sources: [member, "203.0.113.1"] });
});

test("a member whose nonces are chance throughout is told by its address", () => {
  const { filter } = flooded();
  for (let word = 0; word < 100; word++) filter.accept(packet(word), member);
  const { words, sources } = filter.sample([], () => true) ?? {};
  assert.deepEqual({ words, sources }, { words: [], sources: [member] });
});

test("a packet of an earlier process, sent again by somebody else, shuts nobody out", () => {
  const { filter } = flooded();
  filter.accept(packet(7), member);
  filter.accept(packet(1), member);
  assert.deepEqual(filter.sample([], () => true)?.words, [7, 1]);
});

test("packets of a source that is no member are told by their nonces, and by its address only while it keeps within its share", () => {
  const { filter } = flooded();
  filter.accept(packet(9), stranger);
  const sample = (spares: boolean) => {
    const { words, sources } = filter.sample([], () => spares) ?? {};
    return { words, sources, passes: filter.passes(stranger) };
  };
  assert.deepEqual(sample(true), { words: [9], sources: [member], passes: false });
  for (let word = 0; word < 5; word++) filter.accept(packet(word), stranger);
  assert.deepEqual(sample(true), { words: [], sources: [member, stranger], passes: true });
  assert.deepEqual(sample(false), { words: [], sources: [member], passes: false });
});

test("of sources that are no members the last 64 are told, and one that becomes a member goes on to be", () => {
  const { filter } = flooded();
  for (let index = 0; index < 100; index++) filter.accept(packet(1000 + index), `203.0.113.${index}`);
  filter.accept(packet(1036), "203.0.113.36"); // It would be the next to make room.
  filter.accept(packet(9), "203.0.113.200");
  const { words = [] } = filter.sample([], () => true) ?? {};
  assert.deepEqual([words.length, words.includes(1036), words.includes(1037)], [64, true, false]);
  filter.setMembers([member, "203.0.113.200"]);
  const { words: now = [], sources } = filter.sample([], () => true) ?? {};
  assert.deepEqual([now.length, now.includes(9), sources], [64, true, [member]]);
});

test("when a member changes, sources that are no members are told by their addresses again: one of them may be that one", () => {
  const { filter } = flooded();
  filter.accept(packet(9), stranger);
  filter.changed(member);
  const { words, sources } = filter.sample([], () => true) ?? {};
  assert.deepEqual({ words, sources }, { words: [], sources: [member, stranger] });
});

test("after a change of a member, as by another process, its packets are told by its address again", () => {
  const { filter } = flooded();
  filter.accept(packet(7), member);
  filter.changed(member);
  const { words, sources } = filter.sample([], () => true) ?? {};
  assert.deepEqual({ words, sources }, { words: [], sources: [member] });
});

test("members that stay keep their nonces when others come", () => {
  const { filter } = flooded();
  filter.accept(packet(7), member);
  filter.setMembers([member, "192.0.2.2"]);
  assert.deepEqual(filter.sample([], () => true)?.words, [7]);
});

for (const [family, first] of [
  ["IPv4", "192.0"],
  ["IPv6", "2001:db8::"],
] as const)
  test(`1,000 members of ${family} with four words each, and 256 others, are few enough for a filter in the kernel, and none is left out`, () => {
    const address = (index: number) =>
      family === "IPv4" ? `${first}.${index >> 8}.${index & 255}` : `${first}${index.toString(16)}:1`;
    const members = Array.from({ length: 1000 }, (_, index) => address(index));
    const { filter } = flooded();
    filter.setMembers(members);
    for (const [index, member] of members.entries())
      for (let word = 0; word < (index < 500 ? 4 : 3); word++) filter.accept(packet(4 * index + word), member);
    const others = Array.from({ length: 256 }, (_, index) => address(5000 + index));
    const { words = [], sources = [] } = filter.sample(others, () => true) ?? {};
    assert.deepEqual([words.length, sources.length], [3500, 256]);
    for (const [index, member] of members.entries()) if (index >= 500) filter.accept(packet(4 * index + 3), member);
    assert.deepEqual(
      filter.sample(others, () => true),
      {
        nonceAt,
        words: [],
        sources: [...members, ...others],
        oneIn: filter.sample([], () => true)?.oneIn,
      },
    );
    filter.changed(address(7));
    filter.accept(packet(7), address(7));
    assert.deepEqual(filter.sample(others, () => true)?.words, [7]);
  });
