import { Counter, Gauge, type Registry } from "#pkg/metrics";
import type { BgpSpeaker } from "./bgp-speaker.ts";
import type { BgpPeer } from "./peer.ts";

/** The peers of this node under MetalLB's names, read when they are scraped, so that no series outlives its peer. */
export function registerBgp(registry: Registry, bgp: Pick<BgpSpeaker, "peers">): void {
  const gauges: { name: string; help: string; read: (peer: BgpPeer) => number }[] = [
    {
      name: "metallb_bgp_session_up",
      help: "1 while the session with the peer is established, else 0.",
      read: ({ session }) => Number(session?.established ?? false),
    },
    {
      name: "metallb_bgp_announced_prefixes_total",
      help: "Prefixes that the peer has been told and not been told to forget.",
      read: ({ routes }) => routes.announced,
    },
    {
      name: "metallb_bgp_pending_prefixes_total",
      help: "Prefixes that the peer should know, whether or not it has been told; alert where it is told fewer for long.",
      read: ({ routes }) => routes.wanted,
    },
    {
      name: "ingot_bgp_unsendable_prefixes",
      help: "Prefixes that the session cannot carry: its family was not agreed on, or there is no next hop for them.",
      read: ({ routes }) => routes.unsendable().reduce((sum, { prefixes }) => sum + prefixes, 0),
    },
  ];
  for (const { name, help, read } of gauges) {
    new Gauge({
      ...{ name, help, labelNames: ["peer"], registers: [registry] },
      collect() {
        this.reset();
        for (const peer of bgp.peers) this.set({ peer: peer.key }, read(peer));
      },
    });
  }
  new Counter({
    name: "metallb_bgp_updates_total",
    help: "UPDATE messages sent to the peer.",
    labelNames: ["peer"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { key, session } of bgp.peers) this.inc({ peer: key }, session?.describe().messagesSent.update ?? 0);
    },
  });
}
