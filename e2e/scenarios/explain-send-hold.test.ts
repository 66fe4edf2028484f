import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Host, Lab } from "#e2e/lab";
import { BgpNetwork, nodeAsn } from "./bgp-network.ts";
import { says } from "./observe.ts";
import { Tool } from "./tool.ts";

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const routerAsn = 65010;
const router = "172.30.0.241";

/** Small enough for a few routes to fill them. */
const smallBuffers = ["sh", "-ec", "for each in rmem wmem; do echo 4096 4096 4096 >/proc/sys/net/ipv4/tcp_$each; done"];

/** 16 routes for each address, with more communities than fit into the buffers. */
const advertisements = Array.from({ length: 16 }, (_, index) => {
  const communities = Array.from({ length: 200 }, (_, each) => `${index}:${each}`);
  return `{aggregation-length: ${32 - index}, communities: ["${communities.join('", "')}"]}`;
});

// RFC 9687 gives such a router eight minutes at least. The speaker's clock is fast, so that a test need not wait for that.
test("a router that sends and never reads is named as that", { skip: await Lab.refusal() }, async () => {
  await using network = await BgpNetwork.start({
    nodes: 1,
    speakerArguments: ["--bgp-port=179"],
    speakerNodeArguments: [`--import=${script("fast-clock.ts")}`],
  });
  const { cluster } = network;
  using tool = new Tool(cluster);
  const [node] = cluster.nodes;
  assert.ok(node);
  const host: Host = await cluster.lab.host("router");
  await host.attach(cluster.lan, { addresses: [`${router}/24`] });
  for (const each of [host, node.host]) await each.output(smallBuffers);
  await cluster.configure(`peers:
- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${router}, hold-time: 240s, passive: true}
address-pools:
- {name: main, protocol: bgp, addresses: [198.51.0.0/16], bgp-advertisements: [${advertisements.join(", ")}]}
`);
  await cluster.expose("web", ["node1"]);
  const waiting = await says(node.speaker, "connecting", "peer", `${router}:179`);
  assert.match(waiting.next, /connects to this node/, "which is not what a peer that is passive does");
  await using _ = await host.spawn("peer", ["node", script("scripted-peer.ts"), node.addresses[0], `${routerAsn}`, "deaf"]);
  await says(node.speaker, "established", "peer", `${router}:179`);
  await tool.explains(`peer/${router}`, [
    /Pending \(sendHoldTimerExpired\)/,
    /is not up: send hold timer expired: the peer has read nothing from the connection for 480 s/,
    /To do: see why BGP on the router stands still/,
  ]);
});
