import { type Bfd, type BfdSessionCounters, ignoredReasons } from "#pkg/bfd";
import { pullCounter, pullGauge, type Registry } from "#pkg/metrics";

/** BFD sessions under the names of MetalLB's FRR mode, read when they are scraped, so that no series outlives its session. */
export function registerBfd(registry: Registry, bfd: Pick<Bfd, "counters" | "ignored">): void {
  pullGauge(registry, {
    name: "metallb_bfd_session_up",
    help: "1 while the BFD session with the peer is up, else 0.",
    labelNames: ["peer"],
    collect(add) {
      for (const { peer, up } of bfd.counters()) add({ peer }, up ? 1 : 0);
    },
  });
  const counters: { name: string; help: string; read: (counters: BfdSessionCounters) => number }[] = [
    { name: "control_packet_input", help: "BFD control packets received.", read: ({ controlIn }) => controlIn },
    { name: "control_packet_output", help: "BFD control packets sent.", read: ({ controlOut }) => controlOut },
    { name: "echo_packet_input", help: "BFD echo packets of this side that came back.", read: ({ echoIn }) => echoIn },
    { name: "echo_packet_output", help: "BFD echo packets sent.", read: ({ echoOut }) => echoOut },
    { name: "session_up_events", help: "Times that the BFD session came up.", read: ({ upEvents }) => upEvents },
    { name: "session_down_events", help: "Times that the BFD session went down.", read: ({ downEvents }) => downEvents },
    {
      name: "zebra_notifications",
      help: "Times that BGP was told of a change of the BFD session; the name is that of FRR, where another daemon passes it on.",
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
    help: "BFD control packets that counted for no session, by reason.",
    labelNames: ["reason"],
    collect(add) {
      const ignored = bfd.ignored();
      for (const reason of ignoredReasons) add({ reason }, ignored[reason]);
    },
  });
}
