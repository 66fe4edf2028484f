import assert from "node:assert/strict";
import { test } from "node:test";
import { SystemCallError } from "./libc.ts";
import { DatagramBatch } from "./message-batches.ts";
import { interfaceIndexOf } from "./netlink-socket.ts";
import { PollSet } from "./thread.ts";
import { socketAddress, UdpSocket } from "./udp-socket.ts";

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
    const way = { source: address, sourcePort: port, destination: address, interfaceIndex: interfaceIndexOf("lo"), ttl: 254 };
    assert.deepEqual(batch.datagram(0), { bytes: Uint8Array.of(1, 2, 3), ...way });
    assert.deepEqual(batch.datagram(1)?.bytes, new Uint8Array(24).fill(7)); // Cut at what is kept.
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
