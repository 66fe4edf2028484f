/**
 * A router that floods its BGP neighbor, which connects to it: `hostile-router.ts ASN MODE OCTETS`. It takes the neighbor's routes,
 * prints `established N` when no more come, and on SIGUSR2 sends OCTETS octets of messages as fast as the neighbor reads them. MODE is
 * `refresh` (ROUTE-REFRESH), `update` (UPDATEs full of prefixes), `malformed` (UPDATEs with attributes that RFC 7606 tolerates) or
 * `keepalive`. Prints `flooded` when all is written, and `closed …` with the neighbor's NOTIFICATION, then waits for it to connect again.
 */
import { createServer, type Socket } from "node:net";
import { decodeMessage, encodeMessage, encodeRouteRefresh, MessageReader } from "#pkg/bgp/testing";
import { address } from "#pkg/net/testing";

const [asn = "65000", mode = "refresh", octets = "65536"] = process.argv.slice(2);
const session = { internal: false, families: new Set(["IPv4"] as const), fourOctetAsn: true, extendedNextHop: false };
const silence = 1_000;

const header = (type: number, length: number) => [...new Array<number>(16).fill(255), length >> 8, length & 255, type];
const update = (attributes: readonly number[], nlri: readonly number[]) => {
  const body = [0, 0, attributes.length >> 8, attributes.length & 255, ...attributes, ...nlri];
  return Uint8Array.from([...header(2, 19 + body.length), ...body]);
};
const attributes = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8, 0x40, 3, 4, 192, 0, 2, 1];
const messages: Readonly<Record<string, Uint8Array>> = {
  refresh: encodeRouteRefresh("IPv4", "request"),
  update: update(attributes, Array.from({ length: 800 }, (_, i) => [32, 203, 0, i >> 8, i & 255]).flat()),
  malformed: update([0x40, 1, 1, 9, ...attributes.slice(4), 0xc0, 8, 3, 1, 2, 3], [24, 203, 0, 113]),
  keepalive: encodeMessage({ type: "keepalive" }),
};
const message = messages[mode];
if (message === undefined) throw new Error(`Cannot flood with ${mode}`);
const flood = Buffer.concat(Array.from({ length: Math.ceil(65_536 / message.length) }, () => message));

let current: Socket | undefined;
createServer({ noDelay: true }, (socket) => {
  current = socket;
  const reader = new MessageReader();
  let prefixes = 0;
  let quiet: NodeJS.Timeout | undefined;
  let reason = "without a NOTIFICATION";
  socket.on("data", (chunk) => {
    reader.push(chunk);
    for (let frame = reader.next(true); frame !== undefined; frame = reader.next(true)) {
      const received = decodeMessage(frame, session);
      if (received.type === "open") {
        const capabilities = [
          { type: "multiprotocol", afi: 1, safi: 1 } as const,
          { type: "routeRefresh" } as const,
          { type: "fourOctetAsn", asn: Number(asn) } as const,
        ];
        const routerId = address("192.0.2.66");
        socket.write(encodeMessage({ type: "open", version: 4, asn: Number(asn), holdTimeSeconds: 90, routerId, capabilities }));
        socket.write(encodeMessage({ type: "keepalive" }));
      } else if (received.type === "update") {
        prefixes += received.announced;
        clearTimeout(quiet);
        quiet = setTimeout(() => console.log(`established ${prefixes}`), silence);
      } else if (received.type === "notification") reason = `with NOTIFICATION ${received.code}/${received.subcode}`;
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    clearTimeout(quiet);
    if (current === socket) current = undefined;
    console.log(`closed ${reason}`);
  });
}).listen(179);
console.log("listening");

process.on("SIGUSR2", () => {
  const socket = current;
  let left = Number(octets);
  const write = (): void => {
    while (left > 0 && socket?.writable) {
      const part = flood.subarray(0, Math.max(message.length, left - (left % message.length)));
      left -= part.length;
      if (!socket.write(part)) {
        socket.once("drain", write);
        return;
      }
    }
    console.log(`flooded ${Number(octets) - Math.max(0, left)}`);
  };
  write();
});
