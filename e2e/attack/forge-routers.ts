/**
 * Sends router advertisements to all hosts on `eth0`, each from an address that no advertisement had before, 500 a second, with the host's own MAC address:
 * `forge-routers.ts MAC`, until it is stopped; then prints how many.
 */
import { once } from "node:events";
import { EtherType, etherTypeFilter, interfaceIndexOf, PacketSocket, SendBatch } from "#pkg/linux";
import { allNodesGroup, multicastMac, parseMac } from "#pkg/net";
import { encodeRouterFrame, RouterMessage, routerFrameLength } from "../../pkg/router-discovery/codec/router-frames.ts";

const [mac, index] = [parseMac(process.argv[2] ?? ""), interfaceIndexOf("eth0")];
if (mac === undefined || index === undefined) throw new Error("Cannot forge: a MAC address and eth0 needed");
const atOnce = 10;
const everyMs = 20;
const linkLocal = 0xfe80_0000_0000_0000_0000_0000_0000_0000n;
const ends = { destinationMac: multicastMac(allNodesGroup), sourceMac: mac, destination: allNodesGroup };
const socket = PacketSocket.open(index, EtherType.ipv6, etherTypeFilter(EtherType.experimental, 0));
const batch = new SendBatch(atOnce, routerFrameLength);
let sent = 0;

const timer = setInterval(() => {
  batch.clear();
  for (let i = 0; i < atOnce; i++) {
    const source = linkLocal | (0x0bad_0000_0000_0000n + BigInt(++sent));
    batch.push(
      encodeRouterFrame({ ...ends, source, type: RouterMessage.advertisement, lifetimeSeconds: 0, linkLayerAddress: mac }),
    );
  }
  socket.send(batch);
}, everyMs);
console.log("sending");
await once(process, "SIGTERM");
clearInterval(timer);
console.log(`sent ${sent}`);
socket[Symbol.dispose]();
