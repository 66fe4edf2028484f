import {
  aliveKey,
  announcedConfigMap,
  announcedConfigMaps,
  announcedKey,
  areAllOf,
  encodeAnnounced,
  reporterKey,
  writerKey,
} from "#pkg/announced";
import { wallClock } from "#pkg/clock";
import { type ByKind, dispatchByKind } from "#pkg/collections";
import type { FlowCounter, HandoverKeeper } from "#pkg/handover";
import type { EventRecorder } from "#pkg/k8s";
import { nodeReference, report } from "#pkg/k8s";
import type { KernelKeeper } from "#pkg/kernel";
import type { Layer2 } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import type { NodeChecks } from "#pkg/node-checks";
import { encodeQuarantine, quarantineConfigMap, quarantineKey } from "#pkg/quarantine";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import type { ConfigMapWriter, ConfigMapWriterOptions } from "./config-map-writer.ts";
import type { SpeakerEffect, SpeakerEvent, SpeakerRunner } from "./core/index.ts";
import type { DataPath } from "./data-path.ts";
import type { FollowedRoutes } from "./followed-routes.ts";
import type { FastPath } from "./members/fast-path.ts";
import type { Members } from "./members/members.ts";
import type { NodePaths } from "./members/node-paths.ts";
import type { SpeakerTimings } from "./metrics.ts";
import type { Sources } from "./sources.ts";
import type { ToldInterfaces } from "./told-interfaces.ts";

/** The drivers that carry out the core's effects. */
export interface Drivers {
  readonly runner: Pick<SpeakerRunner, "dispatch">;
  readonly layer2: Pick<
    Layer2,
    "begin" | "settled" | "announce" | "listen" | "withdraw" | "reannounce" | "defend" | "probe" | "challenge" | "setAlone"
  >;
  readonly configMaps: Pick<ConfigMapWriter, "write">;
  readonly bgp: Pick<BgpSpeaker, "setPeers" | "setRoutes" | "flush" | "addressesChanged">;
  readonly followedRoutes: Pick<FollowedRoutes, "follow">;
  readonly toldInterfaces: Pick<ToldInterfaces, "name">;
  readonly kernel: Pick<KernelKeeper, "want" | "complete">;
  readonly handovers: Pick<HandoverKeeper, "check" | "want" | "flush" | "wantSpeakers" | "complete">;
  readonly flowCounter: Pick<FlowCounter, "want">;
  readonly members: Pick<Members, "start" | "started" | "setInterfaces" | "setGossip" | "forgetGossip" | "pullGossip">;
  /** Undefined where neither the ring nor a central speaker asks for paths. */
  readonly fastPath: Pick<FastPath, "configure"> | undefined;
  /** A central speaker has them. */
  readonly nodePaths: Pick<NodePaths, "watch"> | undefined;
  readonly sources: Pick<Sources, "startConfig" | "followNodes">;
  /** Undefined at a central speaker, which brings no packets to Pods. */
  readonly dataPath: Pick<DataPath, "start" | "looked" | "tryFirst"> | undefined;
  readonly checks: Pick<NodeChecks, "changed">;
  readonly events: Pick<EventRecorder, "record">;
  readonly timings: SpeakerTimings;
  readonly log: Log;
}

export function carryOut(drivers: Drivers, effect: SpeakerEffect): void {
  dispatchByKind(carriers, "type", effect, drivers);
}

const carriers: ByKind<SpeakerEffect, "type", [Drivers], void> = {
  prepareLayer2: (_, { layer2 }) => void layer2.begin(),
  announce({ address, interfaces, kernelAnswers }, { handovers, layer2 }) {
    handovers.flush(); // Hosts send to this node at once.
    layer2.announce(address, { interfaces, answers: !kernelAnswers });
  },
  listen: (effect, { layer2 }) => layer2.listen(effect.address, effect),
  withdraw({ address }, { handovers, layer2 }) {
    handovers.flush(); // The next owner sends to this node when it hears of it.
    layer2.withdraw(address);
  },
  reannounce: ({ address }, { layer2 }) => layer2.reannounce(address),
  defend: ({ address }, { layer2 }) => layer2.defend(address),
  probe: (effect, { layer2 }) => layer2.probe(effect.address, effect),
  challenge: ({ address, to }, { layer2 }) => layer2.challenge(address, to),
  setAlone: ({ isAlone }, { layer2 }) => layer2.setAlone(isAlone),
  writeOccupant: (effect, { configMaps }) =>
    configMaps.write(quarantineConfigMap, [[quarantineKey(effect.address), occupantText(effect)]]),
  writeAnnounced: (effect, { configMaps }) => writeAnnounced(configMaps, effect),
  setPeers: ({ peers }, { bgp }) => bgp.setPeers(peers),
  setRoutes: ({ address, routes }, { bgp }) => bgp.setRoutes(address, routes),
  flushRoutes: ({ complete }, { bgp }) => bgp.flush(complete),
  followRoutes: (effect, { followedRoutes }) => followedRoutes.follow(effect),
  nameInterfaces: ({ names }, { toldInterfaces }) => toldInterfaces.name(names),
  setKernel: ({ address, items }, { kernel }) => kernel.want(address.toString(), items),
  completeKernel(_, { kernel, handovers }) {
    kernel.complete();
    handovers.complete();
  },
  prepareHandovers: (_, { handovers }) => handovers.check(),
  setHandover: ({ address, handover }, { handovers }) => handovers.want(address, handover),
  setSpeakers: ({ macs }, { handovers }) => handovers.wantSpeakers(macs),
  countFlows: ({ address, isCounted }, { flowCounter }) => flowCounter.want(address, isCounted),
  setGossip: ({ entries }, { members }) => members.setGossip(entries),
  forgetGossip: ({ node }, { members }) => members.forgetGossip(node),
  tellStarted: (_, { layer2, members }) => void layer2.settled().then(() => members.started()),
  keepPaths: ({ intervalMs }, { fastPath }) => fastPath?.configure(intervalMs),
  watchNodes: ({ nodes }, { nodePaths }) => nodePaths?.watch(nodes),
  pullGossip: ({ node }, { members }) => members.pullGossip(node),
  log: (effect, { events, log }) => report(effect, events, log),
  recordEvent: (effect, { events, log }) => report(effect, events, log),
  recordNodeEvent: ({ node, kind, reason, message }, { events }) => events.record(nodeReference(node), kind, reason, message),
  tookOver(effect, { timings }) {
    timings.takeovers.inc({ cause: effect.cause });
    if ("afterMs" in effect) timings.failover.observe({ cause: effect.cause }, effect.afterMs / 1000);
  },
  converged: ({ afterMs }, { timings }) => timings.convergence.observe(afterMs / 1000),
  startMembers({ isLarge }, { dataPath, members }) {
    members.start(isLarge);
    dataPath?.start();
  },
  tryFirst: (effect, { dataPath }) => dataPath?.tryFirst(effect),
  startConfig: (_, { dataPath, sources }) => void Promise.resolve(dataPath?.looked).then(() => sources.startConfig()),
  followNodes: ({ names }, { sources }) => sources.followNodes(names),
  publishInterfaces({ interfaces }, { members, bgp }) {
    members.setInterfaces(interfaces);
    bgp.addressesChanged();
  },
  checkNode: (_, { checks }) => checks.changed(),
  wake: (_, { runner }) => void setImmediate(() => runner.dispatch({ type: "continue" })),
};

function occupantText({ occupant }: Extract<SpeakerEffect, { type: "writeOccupant" }>): string | null {
  return occupant === undefined ? null : encodeQuarantine({ ...occupant, since: wallClock().toISOString() });
}

function writeAnnounced(
  configMaps: Drivers["configMaps"],
  { lines, isNew, reporter }: Extract<SpeakerEffect, { type: "writeAnnounced" }>,
): void {
  const byConfigMap = Map.groupBy(lines, ([service]) => announcedConfigMap(service));
  const [first = ""] = announcedConfigMaps;
  // A reporter that writes all lines says so first: others hear of it where some of the writes fail. The answers to a sign of life tell of other writers.
  for (const name of isNew || lines.size === 0 ? announcedConfigMaps : byConfigMap.keys()) {
    const those = byConfigMap.get(name) ?? [];
    const data = those.map(([service, line]) => [announcedKey(service), line && encodeAnnounced(line)] as const);
    configMaps.write(name, [...data, [writerKey(reporter), reporter]], isNew, isNew && name !== first ? first : undefined);
  }
  if (isNew) configMaps.write(first, [[reporterKey, reporter]]);
  if (isNew || lines.size === 0) configMaps.write(first, [[aliveKey, wallClock().toISOString()]]);
}

/** Lines about Services are the reporter's: a late one of the reporter before would take the place of its own. */
export function mayWrite({ reporter }: { readonly reporter: { readonly isHere: boolean } }): ConfigMapWriterOptions["mayWrite"] {
  return (configMap) => reporter.isHere || !announcedConfigMaps.includes(configMap);
}

/** Delivers what a ConfigMap has, after this node wrote into it. */
export function written(node: string, emit: (event: SpeakerEvent) => void): ConfigMapWriterOptions["onWritten"] {
  return (name, data) => {
    if (announcedConfigMaps.includes(name) && !areAllOf(node, { name, data })) emit({ type: "linesReplaced" });
  };
}
