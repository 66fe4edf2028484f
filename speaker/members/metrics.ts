import { type MemberlistThread, roundTripBounds } from "#pkg/memberlist";
import { pullCounter, pullGauge, pullHistogram, type Registry } from "#pkg/metrics";

const counters = [
  { name: "probes", help: "Probes of other members.", field: "probes" },
  { name: "failed_probes", help: "Probes without an answer.", field: "failedProbes" },
  { name: "suspicions", help: "Members that this node suspected.", field: "suspicions" },
  { name: "refuted_suspicions", help: "Suspicions by this node that were refuted.", field: "refuted" },
  { name: "refutations", help: "Suspicions of this node that it had to refute.", field: "refutations" },
  {
    name: "path_failures",
    help: "Members that this node declared failed because BFD sessions between speakers went down.",
    field: "pathFailures",
  },
  {
    name: "path_failures_false",
    help: "Members that this node wrongly declared failed for that reason.",
    field: "falsePathFailures",
  },
  { name: "failures", help: "Members that failed.", field: "failures" },
  { name: "packets_received", help: "Packets of the ring that were received.", field: "packetsReceived" },
  { name: "packets_sent", help: "Packets of the ring that were sent.", field: "packetsSent" },
  {
    name: "packets_dropped",
    help: "Packets of unknown hosts beyond 200 a second, and in a flood all packets that no member sent.",
    field: "packetsDropped",
  },
  { name: "packets_replayed", help: "Packets that had been received before.", field: "packetsReplayed" },
  { name: "streams_evicted", help: "Connections closed to make room for others.", field: "streamsEvicted" },
] as const;

/** Metrics of the speakers' ring, as this node sees it. Counters are read when they are scraped. */
export function registerMemberlist(registry: Registry, memberlist: MemberlistThread): void {
  pullGauge(registry, {
    name: "ingot_memberlist_members",
    help: "Members of the speakers' ring, by state.",
    labelNames: ["state"],
    collect(add) {
      const states = { alive: 0, suspect: 0 };
      if (memberlist.running)
        for (const { status } of memberlist.members()) if (status in states) states[status as keyof typeof states]++;
      for (const [state, members] of Object.entries(states)) add({ state }, members);
    },
  });
  for (const { name, help, field } of counters)
    pullCounter(registry, {
      name: `ingot_memberlist_${name}_total`,
      help,
      collect: (add) => add({}, memberlist.running ? memberlist.counters[field] : 0),
    });
  pullCounter(registry, {
    name: "ingot_memberlist_refused_total",
    help: "Messages that could not be used, by reason.",
    labelNames: ["reason"],
    collect(add) {
      if (memberlist.running) for (const [reason, count] of Object.entries(memberlist.counters.problems)) add({ reason }, count);
    },
  });
  pullHistogram(registry, {
    name: "ingot_memberlist_round_trip_seconds",
    help: "Time from a ping to its answer.",
    bounds: roundTripBounds.map((millis) => millis / 1000),
    collect() {
      const { roundTripBuckets, roundTripMillis } = memberlist.counters;
      return { buckets: roundTripBuckets, sum: roundTripMillis / 1000 };
    },
  });
}
