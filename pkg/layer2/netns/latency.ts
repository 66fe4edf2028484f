/**
 * Prints how long a client on the LAN waits for the answer to an ARP request, from the Linux kernel for its own address and from
 * `Layer2` for an announced one. Run as
 * `unshare --user --map-root-user --net --mount-proc --pid --fork --kill-child node pkg/layer2/netns/latency.ts`.
 */
import { silentLog } from "#pkg/log";
import { Address } from "#pkg/net";
import { type ArpFrame, ArpOperation } from "../arp.ts";
import { Layer2 } from "../index.ts";
import { broadcastMac, parseMac } from "../mac.ts";
import { ip, Lan } from "./lan.ts";

const count = 1000;
const rounds = 3;
const own = 0xc0000201; // 192.0.2.1
const announced = 0xc0000264; // 192.0.2.100

using lan = await Lan.start();
await lan.join("lan0", "host0", "192.0.2.2");
ip("address add 192.0.2.1/24 dev lan0");
await using layer2 = new Layer2({ log: silentLog });
await layer2.start();
layer2.announce(new Address("IPv4", BigInt(announced)));

const client = parseMac(JSON.parse(await lan.call("run", "ip", "-json", "link", "show", "dev", "host0"))[0].address) ?? 0;
for (let round = 0; round < rounds; round++)
  for (const [name, targetAddress] of Object.entries({ kernel: own, layer2: announced })) {
    const request: ArpFrame = {
      destination: broadcastMac,
      source: client,
      operation: ArpOperation.request,
      senderMac: client,
      senderAddress: 0xc0000202,
      targetMac: 0,
      targetAddress,
    };
    const sorted = await lan.call("measure", "host0", request, count);
    const [p50, p99, most] = [0.5, 0.99, 1].map((part) => sorted[Math.ceil(part * count) - 1]?.toFixed(0));
    console.log(`${name.padEnd(7)} p50 ${p50} µs  p99 ${p99} µs  max ${most} µs  (${count} requests, 1 ms apart)`);
  }
