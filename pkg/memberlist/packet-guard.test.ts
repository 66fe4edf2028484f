import assert from "node:assert/strict";
import { test } from "node:test";
import { Keyring } from "./codec/keyring.ts";
import { encodePacket } from "./codec/packet.ts";
import { defaultWire, type Wire } from "./codec/wire.ts";
import { PacketGuard } from "./packet-guard.ts";

const wire: Wire = { ...defaultWire, keyring: new Keyring([Buffer.alloc(16, 7)]) };
const member = "192.0.2.1";

function guard(of: Wire = wire): PacketGuard {
  const made = new PacketGuard(of);
  made.setMembers([member]);
  return made;
}

function packet(counter: number, of: Wire = wire): Uint8Array {
  const nonce = Buffer.alloc(12, 3);
  nonce.writeUInt32BE(counter, 8);
  return encodePacket([{ type: "nack", sequence: 1 }], of, { nonce, checksum: false });
}

function admitted(of: PacketGuard, packet: Uint8Array, address: (index: number) => string, from = 0): number {
  let count = 0;
  for (let index = 0; index < 10_000; index++) if (of.admits(packet, address(index), from + index / 40)) count++;
  return count;
}

test("40,000 packets/s of unknown sources get 200 looks a second, and take nothing from those of members", () => {
  const it = guard();
  const garbage = Buffer.alloc(100, 1);
  assert.ok(admitted(it, garbage, (index) => `198.51.${index >> 8}.${index & 255}`) <= 251);
  assert.ok(it.admits(packet(1), member, 250));
  assert.ok(it.admits(packet(1), "203.0.113.1", 1000), "a second later others are looked at again");
});

for (const [name, bytes] of [
  ["too short to be sealed", Buffer.alloc(28, 1)],
  ["of an encryption that there is not", Buffer.alloc(100, 2)],
  ["empty", Buffer.alloc(0)],
] as const)
  test(`what comes from a member's address and is ${name} has no precedence`, () => {
    assert.ok(admitted(guard(), bytes, () => member) <= 251);
  });

test("a source that has sent something authentic is known, and one that is to be joined", () => {
  const it = guard();
  it.accept(packet(1), "203.0.113.1");
  it.know("203.0.113.2");
  for (const address of ["203.0.113.1", "203.0.113.2"])
    assert.equal(
      admitted(it, packet(2), () => address),
      10_000,
    );
});

test("the last packets are known when they come again, as many as 60,000 of one sender", () => {
  const it = guard();
  for (let counter = 0; counter < 60_000; counter++) it.accept(packet(counter), member);
  for (const counter of [0, 1, 30_000, 59_999]) assert.equal(it.isReplay(packet(counter)), true);
  assert.equal(it.isReplay(packet(60_000)), false);
});

test("with a label the nonce is looked for behind it, and without a key nothing is remembered", () => {
  const labelled: Wire = { ...wire, label: Buffer.from("blue") };
  const it = guard(labelled);
  assert.ok(it.admits(packet(1, labelled), member, 0));
  it.accept(packet(1, labelled), member);
  assert.deepEqual([it.isReplay(packet(1, labelled)), it.isReplay(packet(2, labelled))], [true, false]);
  const plain = guard(defaultWire);
  plain.accept(packet(1, defaultWire), member);
  assert.equal(plain.isReplay(packet(1, defaultWire)), false);
});

test("without a key all packets of members are taken, whatever they begin with", () => {
  assert.equal(
    admitted(guard(defaultWire), Buffer.alloc(3, 9), () => member),
    10_000,
  );
});
