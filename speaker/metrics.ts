import type { Bfd } from "#pkg/bfd";
import type { HandoverKeeper } from "#pkg/handover";
import type { KernelKeeper } from "#pkg/kernel";
import { ignoredReasons, type Layer2 } from "#pkg/layer2";
import type { MemberlistThread } from "#pkg/memberlist";
import {
  Counter,
  createRegistry,
  Histogram,
  KubernetesMetrics,
  pullCounter,
  pullGauge,
  pullSeries,
  type Registry,
  registerRefusedReports,
} from "#pkg/metrics";
import { families } from "#pkg/net";
import { checkNames, type NodeChecks } from "#pkg/node-checks";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import { registerBfd, registerBgp } from "./bgp/metrics.ts";
import type { ConfigMapWriter } from "./config-map-writer.ts";
import { pathFaultNames, type SpeakerView } from "./core/index.ts";
import { registerMemberlist } from "./members/metrics.ts";

export interface MetricsSources {
  readonly view: SpeakerView;
  readonly layer2: Pick<Layer2, "counters" | "addressCounters">;
  readonly bgp: BgpSpeaker;
  readonly bfd: Bfd;
  readonly kernel: Pick<KernelKeeper, "restored">;
  readonly handovers: Pick<HandoverKeeper, "restored" | "packets">;
  readonly memberlist: MemberlistThread | undefined;
  readonly checks: Pick<NodeChecks, "findings">;
  readonly configMaps: Pick<ConfigMapWriter, "refusals">;
  /** See `viewAgeSeconds`. */
  readonly viewAge: () => number;
}

/** Durations that the core has measured. */
export interface SpeakerTimings {
  readonly takeovers: Counter;
  readonly failover: Histogram;
  readonly convergence: Histogram;
}

export function speakerMetrics(sources: MetricsSources) {
  const { view, layer2, bgp, bfd, memberlist, checks, configMaps } = sources;
  const registry = createRegistry();
  const metrics = new KubernetesMetrics(registry);
  registerAnnouncements(registry, view);
  registerLayer2(registry, layer2);
  registerBgp(registry, bgp);
  registerBfd(registry, bfd);
  registerConflicts(registry, view);
  registerNodeWarnings(registry, checks);
  registerRefusedReports(registry, () => configMaps.refusals.length);
  registerDataPath(registry, view);
  registerSingles(registry, sources);
  if (memberlist !== undefined) registerMemberlist(registry, memberlist);
  return { registry, metrics, timings: registerTimings(registry) };
}

/** Metrics of one series each. */
export function registerSingles(
  registry: Registry,
  { view, kernel, handovers, viewAge }: Pick<MetricsSources, "view" | "kernel" | "handovers" | "viewAge">,
): void {
  const gauges: Readonly<Record<string, readonly [help: string, read: () => number]>> = {
    ingot_layer2_self_test_failures: [
      "Addresses that other nodes announce and that this node finds unanswered, answered by another host, or without a connection.",
      () => view.wireFaultCount,
    ],
    ingot_speaker_api_view_age_seconds: [
      "Time for which this speaker has not seen changes in the API; 0 while it sees them.",
      viewAge,
    ],
    ingot_handovers: [
      "Addresses of which this node hands packets of unknown connections to the former owner.",
      () => view.handovers.length,
    ],
    ingot_handover_served_connections: [
      "Open connections of this node to addresses that another node owns now, where they are kept.",
      () => view.servedConnections,
    ],
  };
  const counters: typeof gauges = {
    ingot_kernel_restored_total: [
      "Addresses and routes of protocol interface that something else removed from this node's kernel, and that were put back.",
      () => kernel.restored,
    ],
    ingot_handover_packets_total: [
      "Packets of connections that this node does not know, handed to the former owner of their address.",
      () => handovers.packets,
    ],
    ingot_handover_restored_total: [
      "How often the table ingot of this node's packet filter was put back, which something else had changed.",
      () => handovers.restored,
    ],
  };
  for (const [pull, metrics] of [[pullGauge, gauges] as const, [pullCounter, counters] as const])
    for (const [name, [help, read]] of Object.entries(metrics)) pull(registry, { name, help, collect: (add) => add({}, read()) });
}

/** Why others take over from this node. */
export function registerDataPath(registry: Registry, view: Pick<SpeakerView, "pathFaults">): void {
  pullGauge(registry, {
    name: "ingot_data_path_fault",
    help: "Signs for which this node counts as unable to deliver to Pods, so that others take over its addresses.",
    labelNames: ["sign", "family"],
    collect: (add) => {
      for (const sign of pathFaultNames)
        for (const family of families) add({ sign, family }, view.pathFaults(family).includes(sign) ? 1 : 0);
    },
  });
}

export function registerTimings(registry: Registry): SpeakerTimings {
  const registers = [registry];
  const takeovers = new Counter({
    name: "ingot_layer2_takeovers_total",
    help: "Addresses that this node took over from another node: it failed, BFD found that it failed, it left, it lives and cannot deliver to Pods, or it lives and the address moved.",
    labelNames: ["cause"],
    registers,
  });
  // So that the first one is an increase.
  for (const cause of ["failed", "failedFast", "left", "cannotDeliver", "moved"]) takeovers.inc({ cause }, 0);
  const failover = new Histogram({
    name: "ingot_layer2_failover_seconds",
    help: "Time from the first suspicion of a failed node, or from the message of one that leaves, until this node announces one of its addresses, by cause.",
    labelNames: ["cause"],
    buckets: [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30],
    registers,
  });
  const convergence = new Histogram({
    name: "ingot_speaker_config_convergence_seconds",
    help: "Time from when a new configuration is in force until every address is placed under it.",
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  return { takeovers, failover, convergence };
}

/** Announcements from here, read when they are scraped, so that no series outlives its Service. */
export function registerAnnouncements(
  registry: Registry,
  { node, announcements }: Pick<SpeakerView, "node" | "announcements">,
): void {
  pullSeries(registry, "gauge", {
    name: "metallb_speaker_announced",
    help: "1 for each address that this node announces for a Service, by each protocol. It does not show what hosts and routers have learned.",
    labelNames: ["service", "protocol", "node", "ip"],
    *series() {
      for (const service of [...announcements.keys()])
        for (const { protocol, addresses } of announcements.get(service) ?? [])
          for (const ip of addresses) yield [{ service, protocol, node, ip }, 1];
    },
  });
}

/** How many warnings there are about this node; 0 for a check that has none, so that alerts have a series. */
export function registerNodeWarnings(registry: Registry, checks: Pick<NodeChecks, "findings">): void {
  pullGauge(registry, {
    name: "ingot_speaker_node_warnings",
    help: "Warnings about this node, by check. /readyz and the log have the texts.",
    labelNames: ["check"],
    collect(add) {
      for (const check of checkNames) add({ check }, checks.findings.filter((finding) => finding.check === check).length);
    },
  });
}

/** The counters of the thread that answers, read when they are scraped. */
export function registerLayer2(registry: Registry, layer2: Pick<Layer2, "counters" | "addressCounters">): void {
  const perAddress = [
    {
      name: "requests_received",
      help: "ARP requests and neighbor solicitations for an announced address.",
      field: "requestsReceived",
    },
    { name: "responses_sent", help: "Replies to requests for an announced address.", field: "responsesSent" },
    { name: "gratuitous_sent", help: "Gratuitous announcements of an address.", field: "gratuitousSent" },
  ] as const;
  for (const { name, help, field } of perAddress) {
    pullSeries(registry, "counter", {
      name: `metallb_layer2_${name}`,
      help,
      labelNames: ["ip"],
      *series() {
        for (const counters of layer2.addressCounters()) yield [{ ip: counters.address.toString() }, counters[field]];
      },
    });
  }
  pullSeries(registry, "counter", {
    name: "ingot_layer2_conflicts_total",
    help: "Frames from other hosts that use or announce an address of this node.",
    labelNames: ["ip"],
    *series() {
      for (const { address, sightings } of layer2.addressCounters())
        if (sightings > 0) yield [{ ip: address.toString() }, sightings];
    },
  });
  pullCounter(registry, {
    name: "ingot_layer2_frames_ignored_total",
    help: "Frames that were not answered, by reason.",
    labelNames: ["reason"],
    collect(add) {
      const { ignored } = layer2.counters();
      for (const reason of ignoredReasons) add({ reason }, ignored[reason]);
    },
  });
  const totals = [
    {
      name: "ingot_layer2_send_failures_total",
      help: "Replies and announcements that could not be sent.",
      field: "sendFailures",
    },
    { name: "ingot_layer2_frames_dropped_total", help: "Frames that were lost because they arrived too fast.", field: "dropped" },
  ] as const;
  for (const { name, help, field } of totals) {
    pullCounter(registry, {
      name,
      help,
      collect: (add) => add({}, layer2.counters()[field]),
    });
  }
}

/** Current conflicts that were reported, read at each scrape: of a flood in the name of ever other hosts each would be a series. */
export function registerConflicts(registry: Registry, view: Pick<SpeakerView, "reportedConflicts" | "occupants">): void {
  pullGauge(registry, {
    name: "ingot_layer2_conflict",
    help: "1 for each other host that has an address of this node: node is empty if it is no speaker; owner says which of the two keeps the address.",
    labelNames: ["ip", "mac", "node", "owner"],
    collect(add) {
      for (const { address, mac, node = "", followed } of view.reportedConflicts())
        add({ ip: address.toString(), mac, node, owner: followed ? "other" : "self" }, 1);
    },
  });
  pullGauge(registry, {
    name: "ingot_layer2_occupied_addresses",
    help: "Addresses of pools that are not used because another host has them.",
    collect: (add) => add({}, view.occupants.size),
  });
}
