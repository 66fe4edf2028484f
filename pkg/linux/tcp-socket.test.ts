import assert from "node:assert/strict";
import { existsSync, readlinkSync } from "node:fs";
import { test } from "node:test";
import { type Family, families } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { libc, SystemCallError } from "./libc.ts";
import { TcpSocket } from "./tcp-socket.ts";

const unsupported = new Map<Family, string>(); // family -> why it cannot be tried
for (const family of families)
  try {
    TcpSocket.open(family)[Symbol.dispose]();
  } catch (error) {
    unsupported.set(family, `${error}`);
  }

function option(fd: number, level: number, name: number): number | undefined {
  const value = new Int32Array(1);
  return libc.getsockopt(fd, level, name, value, Uint32Array.of(4)) === 0 ? value[0] : undefined;
}

const numbers = { IPv4: { level: 0, options: [2, 21, 1] }, IPv6: { level: 41, options: [16, 73, 67] } } as const;

for (const family of families)
  test(`hop limit, least hop limit and traffic class of ${family} are set`, { skip: unsupported.get(family) }, () => {
    using socket = TcpSocket.open(family);
    socket.setHopLimit(255);
    socket.setMinimumHopLimit(254);
    socket.setTrafficClass(0xc0);
    const { level, options } = numbers[family];
    assert.deepEqual(
      options.map((name) => option(socket.fd, level, name)),
      [255, 254, 0xc0],
    );
  });

test("a failed call says what was attempted, and has the code of the system", () => {
  using socket = TcpSocket.open("IPv4");
  assert.throws(
    () => socket.bind(address("192.0.2.1"), 0),
    (error) =>
      error instanceof SystemCallError && error.code === "EADDRNOTAVAIL" && /bind to 192\.0\.2\.1 port 0/.test(error.message),
  );
});

test("an MD5 key is of 1 to 80 bytes", () => {
  using socket = TcpSocket.open("IPv4");
  for (const length of [0, 81])
    assert.throws(() => socket.setMd5Key(address("192.0.2.1"), new Uint8Array(length)), {
      message: `Cannot set an MD5 key: it has ${length} bytes, wanted 1 to 80`,
    });
});

test("a socket is closed when it is disposed, unless it was released or belongs to somebody else", () => {
  const isOpen = (fd: number, inode: string) =>
    existsSync(`/proc/self/fd/${fd}`) && readlinkSync(`/proc/self/fd/${fd}`) === inode;
  const socket = TcpSocket.open("IPv4");
  const inode = readlinkSync(`/proc/self/fd/${socket.fd}`);
  TcpSocket.of(socket.fd, "IPv4")[Symbol.dispose]();
  assert.ok(isOpen(socket.fd, inode));
  const fd = socket.release();
  socket[Symbol.dispose]();
  assert.ok(isOpen(fd, inode));
  libc.close(fd);
  const other = TcpSocket.open("IPv4");
  const otherInode = readlinkSync(`/proc/self/fd/${other.fd}`);
  other[Symbol.dispose]();
  other[Symbol.dispose]();
  assert.ok(!isOpen(other.fd, otherInode));
});
