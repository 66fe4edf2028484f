import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { address } from "#pkg/net/testing";
import { type DatagramSample, datagramSampleFilter } from "./codec/filter.ts";
import { socketAddress } from "./codec/socket-address.ts";
import { libc, SystemCallError } from "./libc.ts";
import { DatagramBatch } from "./message-batches.ts";
import { interfaceIndexOf } from "./netlink-socket.ts";
import { PollSet } from "./thread.ts";
import { UdpSocket } from "./udp-socket.ts";

const loopback = { IPv4: [127, 0, 0, 1], IPv6: [...new Array<number>(15).fill(0), 1] };

/** A socket on the loopback interface, and the port that the kernel let it have. */
function open(family: "IPv4" | "IPv6", ttl: number) {
  const address = Uint8Array.from(loopback[family]);
  for (let port = 50_000 + Math.floor(Math.random() * 10_000); ; port++)
    try {
      return { socket: UdpSocket.open({ family, address, port, ttl, trafficClass: 0xc0 }), port, address };
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== "EADDRINUSE") throw error;
    }
}

test("the kernel says which address packets would leave from, and that it has no way", () => {
  const sourceTo = (text: string) => UdpSocket.sourceTo(address(text))?.toString();
  assert.deepEqual(["127.0.0.9", "::1"].map(sourceTo), ["127.0.0.1", "::1"]);
  assert.equal(UdpSocket.sourceTo(address("fe80::1"), 999_999), undefined);
});

test("a kernel without a family has no way there", (t) => {
  const noFamily = 99;
  const { socket } = libc;
  t.mock.method(libc, "socket", (_family: number, type: number, protocol: number) => socket(noFamily, type, protocol));
  assert.equal(UdpSocket.sourceTo(address("2001:db8::1")), undefined);
});

for (const family of ["IPv4", "IPv6"] as const)
  test(`a datagram of ${family} comes with its source, its destination, its interface and its TTL`, () => {
    const [from, to] = [open(family, 254), open(family, 1)];
    using sender = from.socket;
    using receiver = to.socket;
    const batch = new DatagramBatch(4, 24);
    assert.equal(receiver.receive(batch), 0);
    assert.ok(sender.send(Uint8Array.of(1, 2, 3), socketAddress(to.address, to.port)));
    assert.ok(sender.send(new Uint8Array(40).fill(7), socketAddress(to.address, to.port)));
    const poll = new PollSet();
    poll.watch([receiver.fd]);
    assert.deepEqual(poll.wait(10_000), [receiver.fd]);
    assert.equal(receiver.receive(batch), 2);
    const { address, port } = from;
    const way = {
      source: address,
      sourcePort: port,
      destination: address,
      interfaceIndex: interfaceIndexOf("lo"),
      ttl: 254,
      arrivedAt: undefined,
    };
    assert.deepEqual(batch.datagram(0), { bytes: Uint8Array.of(1, 2, 3), ...way });
    assert.deepEqual(batch.datagram(1)?.bytes, new Uint8Array(24).fill(7)); // Cut at what is kept.
  });

for (const family of ["IPv4", "IPv6"] as const)
  test(`a datagram of ${family} says when it arrived, and not when it was read`, async () => {
    const [from, to] = [open(family, 254), open(family, 1)];
    using sender = from.socket;
    using receiver = to.socket;
    receiver.stampArrivals();
    const batch = new DatagramBatch(1, 24);
    const sendAndRead = async () => {
      const before = Date.now();
      assert.ok(sender.send(Uint8Array.of(1), socketAddress(to.address, to.port)));
      const after = Date.now() + 1; // It has no fractions.
      await sleep(20);
      assert.equal(receiver.receive(batch), 1);
      const { arrivedAt = Number.NaN } = batch.datagram(0) ?? assert.fail();
      return before <= arrivedAt && arrivedAt <= after;
    };
    // The kernel begins to stamp a moment after it is asked to; what arrives before gets the time at which it is read.
    const deadline = performance.now() + 10_000;
    while (!(await sendAndRead())) assert.ok(performance.now() < deadline);
  });

test("a port is one socket's alone, and the refusal says which", () => {
  const { socket, port, address } = open("IPv4", 64);
  using _ = socket;
  assert.throws(() => UdpSocket.open({ family: "IPv4", address, port, ttl: 64, trafficClass: 0 }), {
    code: "EADDRINUSE",
    message: `Cannot open UDP port ${port} for IPv4: bind: EADDRINUSE, address already in use`,
  });
});

test("an address that the machine does not have is refused", () => {
  const address = Uint8Array.of(192, 0, 2, 1);
  assert.throws(() => UdpSocket.open({ family: "IPv4", address, port: 50_000, ttl: 64, trafficClass: 0 }), {
    code: "EADDRNOTAVAIL",
  });
});

test("no interface, no index", () => {
  assert.equal(interfaceIndexOf("none-such0"), undefined);
});

const optionMemory = 20_480; // Octets that each kernel allows.

for (const family of ["IPv4", "IPv6"] as const)
  test(`under a filter for a sample of ${family} the kernel keeps what has a word or a source`, () => {
    const [from, to] = [open(family, 64), open(family, 64)];
    using sender = from.socket;
    using receiver = to.socket;
    const batch = new DatagramBatch(8, 64);
    const never = 2 ** 32;
    const source = Buffer.from(from.address).readUInt32BE(from.address.length - 4);
    const received = (sample: DatagramSample): string[] => {
      receiver.filter(datagramSampleFilter(sample, optionMemory));
      for (const text of ["a", "longer than", "abcdefgh", "abcdEFGH", "abcdefghi"])
        assert.ok(sender.send(Buffer.from(text), socketAddress(to.address, to.port)));
      // On the loopback interface a datagram is where it belongs, or dropped, once it is sent.
      return Array.from({ length: receiver.receive(batch) }, (_, index) => Buffer.from(batch.sent(index).bytes).toString());
    };
    const values = Array.from({ length: 600 }, (_, index) => 0x7000_0000 + index);
    const efgh = Buffer.from("efgh").readUInt32BE();
    assert.deepEqual(received({ words: { offset: 4, values: [...values, efgh] }, sources: [3, 2], oneIn: never }), [
      "abcdefgh",
      "abcdefghi",
    ]);
    assert.deepEqual(received({ words: { offset: 4, values: [efgh, ...values] }, sources: [3, 2], oneIn: never }), [
      "abcdefgh",
      "abcdefghi",
    ]);
    assert.equal(received({ words: { offset: 4, values: [] }, sources: [...values, source], oneIn: never }).length, 4); // One is too short.
    assert.equal(received({ sources: [source], oneIn: never }).length, 5);
    assert.equal(received({ sources: [], oneIn: never }).length, 0);
    assert.equal(received({ sources: [], oneIn: 1 }).length, 5);
    const many = Array.from({ length: 5_000 }, (_, index) => 0x7000_0000 + index);
    const kept = received({ words: { offset: 4, values: [...many, efgh] }, sources: many, oneIn: never });
    assert.deepEqual(
      kept.filter((text) => text.includes("efgh")),
      ["abcdefgh", "abcdefghi"],
    );
  });

test("what the kernel drops for a filter is counted, until the filter is taken away", () => {
  const [from, to] = [open("IPv4", 64), open("IPv4", 64)];
  using sender = from.socket;
  using receiver = to.socket;
  const before = receiver.drops();
  receiver.filter(datagramSampleFilter({ sources: [], oneIn: 2 ** 32 }, optionMemory));
  for (let i = 0; i < 3; i++) assert.ok(sender.send(Buffer.from("a"), socketAddress(to.address, to.port)));
  assert.equal(receiver.drops() - before, 3);
  receiver.filter(undefined);
  receiver.filter(undefined); // There is no filter now.
  assert.ok(sender.send(Buffer.from("b"), socketAddress(to.address, to.port)));
  assert.equal(receiver.receive(new DatagramBatch(8, 64)), 1);
  assert.equal(receiver.drops() - before, 3);
});

test("filters for 5,000 members take one another's place, also where the kernel has no more room than before Linux 6.8", (t) => {
  const program = `
    import { datagramSampleFilter } from ${JSON.stringify(import.meta.resolve("./codec/filter.ts"))};
    import { withinRoom } from ${JSON.stringify(import.meta.resolve("./libc.ts"))};
    import { UdpSocket } from ${JSON.stringify(import.meta.resolve("./udp-socket.ts"))};
    const socket = UdpSocket.open({ family: "IPv4", port: 0, ttl: 64, trafficClass: 0 });
    for (const count of [1_000, 5_000, 5_000]) {
      const values = [...crypto.getRandomValues(new Uint32Array(count))];
      withinRoom((room) => socket.filter(datagramSampleFilter({ words: { offset: 1, values }, sources: values, oneIn: 2 }, room)));
    }`;
  const argv = [
    "--user",
    "--map-root-user",
    "--net",
    "sh",
    "-c",
    'echo 20480 > /proc/sys/net/core/optmem_max || exit 9; exec "$@"',
    "-",
  ];
  const { status, stderr } = spawnSync("unshare", [...argv, process.execPath, "--input-type=module-typescript", "-e", program]);
  if (status === 9 || status === null) t.skip("needs user namespaces with settings of the network");
  else assert.equal(status, 0, `${stderr}`);
});
