import { type Bfd, type BfdSessionCounters, ignoredReasons } from "#pkg/bfd";
import { type PeerView, states } from "#pkg/bgp";
import { pullCounter, pullGauge, type Registry } from "#pkg/metrics";
import type { BgpSpeaker } from "./bgp-speaker.ts";
import type { BgpPeer } from "./peer.ts";

/** Under MetalLB's names in both of its modes. */
const ofMessages: readonly (readonly [name: string, help: string, read: (view: PeerView) => number])[] = [
  ["updates_total", "UPDATE messages sent to the peer.", ({ messagesSent }) => messagesSent.update],
  ["updates_total_received", "UPDATE messages received from the peer.", ({ messagesReceived }) => messagesReceived.update],
  ["opens_sent", "OPEN messages sent to the peer.", ({ messagesSent }) => messagesSent.open],
  ["opens_received", "OPEN messages received from the peer.", ({ messagesReceived }) => messagesReceived.open],
  ["notifications_sent", "NOTIFICATION messages sent to the peer.", ({ messagesSent }) => messagesSent.notification],
  ["keepalives_sent", "KEEPALIVE messages sent to the peer.", ({ messagesSent }) => messagesSent.keepalive],
  ["keepalives_received", "KEEPALIVE messages received from the peer.", ({ messagesReceived }) => messagesReceived.keepalive],
  ["route_refresh_sent", "ROUTE-REFRESH messages sent to the peer.", ({ messagesSent }) => messagesSent.routeRefresh],
  ["total_sent", "Messages sent to the peer.", ({ messagesSent }) => total(messagesSent)],
  ["total_received", "Messages received from the peer.", ({ messagesReceived }) => total(messagesReceived)],
];

function total(counts: PeerView["messagesSent"]): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

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
      help: "Prefixes that are advertised to the peer.",
      read: ({ routes }) => routes.advertised,
    },
    {
      name: "metallb_bgp_pending_prefixes_total",
      help: "Prefixes that the peer should have, advertised or not. Alert if fewer are advertised for long.",
      read: ({ routes }) => routes.wanted,
    },
    {
      name: "ingot_bgp_unsent_prefixes",
      help: "Prefixes whose advertisement or withdrawal waits to be sent.",
      read: ({ routes }) => routes.pending,
    },
    {
      name: "ingot_bgp_received_prefixes",
      help: "Prefixes in advertisements of the peer in this session, each time they are advertised; they are dropped.",
      read: ({ session }) => session?.describe().prefixesReceived ?? 0,
    },
    {
      name: "ingot_bgp_unsendable_prefixes",
      help: "Prefixes that the session cannot carry: the router does not offer their family, or they have no next hop.",
      read: ({ routes }) => routes.unsendable().reduce((sum, { prefixes }) => sum + prefixes, 0),
    },
  ];
  const counters: { name: string; help: string; read: (view: PeerView) => number }[] = [
    ...ofMessages.map(([name, help, read]) => ({ name: `metallb_bgp_${name}`, help, read })),
    { name: "ingot_bgp_session_flaps_total", help: "Established sessions that ended.", read: ({ flaps }) => flaps },
    {
      name: "ingot_bgp_hold_timer_expirations_total",
      help: "Sessions that ended because nothing arrived for the hold time.",
      read: ({ holdTimerExpirations }) => holdTimerExpirations,
    },
  ];
  const rows = [
    ...gauges.map((row) => ({ ...row, pull: pullGauge })),
    ...counters.map(({ read, ...row }) => ({
      ...row,
      pull: pullCounter,
      read: ({ session }: BgpPeer) => (session === undefined ? 0 : read(session.describe())),
    })),
  ];
  for (const { pull, name, help, read } of rows) {
    const collect = (add: (labels: { peer: string }, value: number) => void) => {
      for (const [peer, one] of labeled(bgp)) add({ peer }, read(one));
    };
    pull(registry, { name, help, labelNames: ["peer"], collect });
  }
  pullGauge(registry, {
    name: "ingot_bgp_session_state",
    help: "1 for the state that the session is in (RFC 4271, section 8.2.2), 0 for the others; all 0 without a session.",
    labelNames: ["peer", "state"],
    collect(add) {
      for (const [peer, { session }] of labeled(bgp)) {
        const now = session?.describe().state;
        for (const state of states) add({ peer, state }, Number(state === now));
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
        for (const [peer, { session }] of labeled(bgp))
          for (const [type, count] of Object.entries(session === undefined ? {} : read(session.describe())))
            add({ peer, type }, count);
      },
    });
}

/** Peers by address and port, as MetalLB with FRR writes them: an IPv6 address has no brackets. Several with one router have their sources, too. */
function* labeled({ peers }: Pick<BgpSpeaker, "peers">): Iterable<readonly [label: string, peer: BgpPeer]> {
  for (const [router, all] of Map.groupBy(peers, ({ key }) => key.replace(/ from .*/, "")))
    for (const peer of all) yield [(all.length === 1 ? router : peer.key).replace(/^\[(.*)\]/, "$1"), peer];
}

/** BFD sessions under the names of MetalLB's FRR mode, read when they are scraped, so that no series outlives its session. */
export function registerBfd(registry: Registry, bfd: Pick<Bfd, "counters" | "ignored">): void {
  pullGauge(registry, {
    name: "metallb_bfd_session_up",
    help: "1 while the BFD session with the peer is up, of several sessions all of them, else 0.",
    labelNames: ["peer"],
    collect(add) {
      const sessions = bfd.counters().sort((a, b) => Number(b.up) - Number(a.up)); // Prometheus keeps the last one with a label.
      for (const { peer, up } of sessions) add({ peer }, up ? 1 : 0);
    },
  });
  const counters: { name: string; help: string; read: (counters: BfdSessionCounters) => number }[] = [
    { name: "control_packet_input", help: "BFD control packets received.", read: ({ controlIn }) => controlIn },
    { name: "control_packet_output", help: "BFD control packets sent.", read: ({ controlOut }) => controlOut },
    { name: "echo_packet_input", help: "BFD echo packets that came back.", read: ({ echoIn }) => echoIn },
    { name: "echo_packet_output", help: "BFD echo packets sent.", read: ({ echoOut }) => echoOut },
    { name: "session_up_events", help: "Times that the BFD session came up.", read: ({ upEvents }) => upEvents },
    { name: "session_down_events", help: "Times that the BFD session went down.", read: ({ downEvents }) => downEvents },
    {
      name: "zebra_notifications",
      help: "Changes of the BFD session that were reported to BGP; the name is FRR's.",
      read: ({ notifications }) => notifications,
    },
  ];
  for (const { name, help, read } of counters)
    pullCounter(registry, {
      name: `metallb_bfd_${name}`,
      help,
      labelNames: ["peer"],
      collect(add) {
        for (const session of bfd.counters()) add({ peer: session.peer }, read(session));
      },
    });
  pullCounter(registry, {
    name: "ingot_bfd_packets_ignored_total",
    help: "BFD control packets that were ignored, by reason.",
    labelNames: ["reason"],
    collect(add) {
      const ignored = bfd.ignored();
      for (const reason of ignoredReasons) add({ reason }, ignored[reason]);
    },
  });
}
