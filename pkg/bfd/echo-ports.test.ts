import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { CookedPacketSocket, Neighbors } from "#pkg/linux";
import { EchoPorts } from "./echo-ports.ts";

test("echoes go on to the peer's last MAC address while the kernel has forgotten it, and to another one as soon as it has that", () => {
  const table: (number | undefined)[] = [undefined, 1, undefined, 2, undefined];
  const find = mock.method(Neighbors.prototype, "find", () => {
    const last = table.shift();
    return last === undefined ? undefined : Uint8Array.of(2, 0, 0, 0, 0, last);
  });
  const sent: number[] = [];
  const socket = { send: (_packet: Uint8Array, mac: Uint8Array) => sent.push(mac.at(-1) ?? 0) > 0, [Symbol.dispose]() {} };
  const open = mock.method(CookedPacketSocket, "open", () => socket as unknown as CookedPacketSocket);
  try {
    using ports = new EchoPorts(1);
    const path = { interfaceIndex: 1, own: Uint8Array.of(192, 0, 2, 1), peer: Uint8Array.of(192, 0, 2, 2) };
    const left = [0, 1, 2, 3, 4].map((second) => ports.send(path, 1, 1_000 * second));
    assert.deepEqual(left, [false, true, true, true, true]);
    assert.deepEqual(sent, [1, 1, 2, 2]);
  } finally {
    find.mock.restore();
    open.mock.restore();
  }
});
