import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { Keyring, nonceAt } from "./codec/keyring.ts";
import { encodePacket } from "./codec/packet.ts";
import { PacketGuard } from "./packet-guard.ts";

const keyring = new Keyring([Buffer.alloc(16, 7)]);
const member = "192.0.2.1";
const stranger = "203.0.113.1";

function guard(): PacketGuard {
  const made = new PacketGuard();
  made.setMembers([member]);
  return made;
}

const sealed = encodePacket([{ type: "nack", sequence: 1 }], keyring, { nonce: Buffer.alloc(12, 3), checksum: false });

/** With a nonce of its own. A guard does not open packets. */
function packet(counter: number): Uint8Array {
  const one = Buffer.from(sealed);
  one.writeUInt32BE(counter, nonceAt + 8);
  return one;
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
  assert.ok(it.admits(packet(1), stranger, 1000), "a second later others are looked at again");
});

for (const [name, bytes] of [
  ["too short to be sealed", Buffer.alloc(28, 1)],
  ["of an encryption that there is not", Buffer.alloc(100, 2)],
  ["empty", Buffer.alloc(0)],
] as const)
  test(`what comes from a member's address and is ${name} has no precedence`, () => {
    assert.ok(admitted(guard(), bytes, () => member) <= 251);
  });

test("a source that is to be joined is known", () => {
  const it = guard();
  it.know("203.0.113.2");
  assert.equal(
    admitted(it, packet(2), () => "203.0.113.2"),
    10_000,
  );
  assert.deepEqual(it.addresses, [member, "203.0.113.2"]);
});

test("a host that sent a captured packet is not known by that, and 250 of its 40,000 packets/s are decrypted", () => {
  const it = guard();
  it.accept(packet(1), stranger, 0);
  const looked = admitted(it, Buffer.alloc(100, 1), () => stranger, 1000);
  assert.ok(looked <= 200 + 50 + (200 + 50) / 4, `${looked}`);
  assert.deepEqual([it.has(stranger), it.addresses, it.others], [false, [member], []]);
});

test("a source that is not known and has sent something authentic gets 50 packets a second through, whatever others send", () => {
  const it = guard();
  it.accept(packet(1), stranger, 0);
  const heard = { count: 0 };
  for (let index = 0; index < 80_000; index++) {
    const now = 1000 + index / 40;
    it.admits(Buffer.alloc(100, 1), `198.51.${index >> 8}.${index & 255}`, now);
    if (index % 800 === 0 && it.admits(packet(index), stranger, now)) heard.count++;
  }
  assert.equal(heard.count, 100);
});

test("of sources with captured packets 64 get 50 packets a second each, also when others take their places in turn", slow, () => {
  for (const packetsOfSource of [1, 60, 1000]) {
    const it = guard();
    let looked = 0;
    for (let index = 0; index < 200_000; index++) {
      const [address, now] = [`source ${Math.floor(index / packetsOfSource) % 500}`, index / 20];
      if (it.admits(packet(index), address, now)) looked++;
      if (index % packetsOfSource === 0) it.accept(packet(index), address, now);
    }
    assert.ok(looked <= 10 * (64 * 50 + 200) + 200, `${looked}`);
  }
});

test("who has just used up most of its share does not spare", () => {
  const it = guard();
  assert.equal(it.spares(stranger, 0), false);
  it.accept(packet(1), stranger, 0);
  assert.deepEqual([it.spares(stranger, 400), it.spares(stranger, 500)], [false, true]);
  for (let index = 0; index < 10; index++) it.admits(packet(2), stranger, 500);
  assert.equal(it.spares(stranger, 500), false);
});

test("the last 65,536 packets are known when they come again, and those before are not", () => {
  const it = guard();
  for (let counter = 0; counter < 66_000; counter++) it.accept(packet(counter), member, 0);
  const known = [66_000 - 65_536 - 1, 66_000 - 65_536, 30_000, 65_999, 66_000].map((counter) => it.isReplay(packet(counter)));
  assert.deepEqual(known, [false, true, true, true, false]);
});
