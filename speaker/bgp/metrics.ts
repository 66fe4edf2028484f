import { type PeerView, states } from "#pkg/bgp";
import { pullCounter, pullGauge, type Registry } from "#pkg/metrics";
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
      name: "ingot_bgp_unsent_prefixes",
      help: "Prefixes whose announcement or withdrawal waits to be sent.",
      read: ({ routes }) => routes.pending,
    },
    {
      name: "ingot_bgp_received_prefixes",
      help: "Prefixes that the peer announced in this session; they are dropped.",
      read: ({ session }) => session?.describe().prefixesReceived ?? 0,
    },
    {
      name: "ingot_bgp_unsendable_prefixes",
      help: "Prefixes that the session cannot carry: its family was not agreed on, or there is no next hop for them.",
      read: ({ routes }) => routes.unsendable().reduce((sum, { prefixes }) => sum + prefixes, 0),
    },
  ];
  for (const { name, help, read } of gauges) {
    pullGauge(registry, {
      name,
      help,
      labelNames: ["peer"],
      collect(add) {
        for (const peer of bgp.peers) add({ peer: peer.key }, read(peer));
      },
    });
  }
  const counters: { name: string; help: string; read: (view: PeerView) => number }[] = [
    {
      name: "metallb_bgp_updates_total",
      help: "UPDATE messages sent to the peer.",
      read: ({ messagesSent }) => messagesSent.update,
    },
    { name: "ingot_bgp_session_flaps_total", help: "Times that an established session ended.", read: ({ flaps }) => flaps },
    {
      name: "ingot_bgp_hold_timer_expirations_total",
      help: "Times that nothing came from the peer for the hold time.",
      read: ({ holdTimerExpirations }) => holdTimerExpirations,
    },
  ];
  for (const { name, help, read } of counters)
    pullCounter(registry, {
      name,
      help,
      labelNames: ["peer"],
      collect(add) {
        for (const { key, session } of bgp.peers) add({ peer: key }, session === undefined ? 0 : read(session.describe()));
      },
    });
  pullGauge(registry, {
    name: "ingot_bgp_session_state",
    help: "1 for the state that the session is in (RFC 4271, section 8.2.2), 0 for the others; all 0 without a session.",
    labelNames: ["peer", "state"],
    collect(add) {
      for (const { key, session } of bgp.peers) {
        const now = session?.describe().state;
        for (const state of states) add({ peer: key, state }, Number(state === now));
      }
    },
  });
  for (const [direction, read] of [
    ["sent", ({ messagesSent }: PeerView) => messagesSent],
    ["received", ({ messagesReceived }: PeerView) => messagesReceived],
  ] as const)
    pullCounter(registry, {
      name: `ingot_bgp_messages_${direction}_total`,
      help: `Messages ${direction}, by type.`,
      labelNames: ["peer", "type"],
      collect(add) {
        for (const { key, session } of bgp.peers)
          for (const [type, count] of Object.entries(session === undefined ? {} : read(session.describe())))
            add({ peer: key, type }, count);
      },
    });
}
