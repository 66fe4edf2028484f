import { aliveKey, announcedConfigMap, announcedConfigMaps, announcedKey, encodeAnnounced, reporterKey } from "#pkg/announced";
import { wallClock } from "#pkg/clock";
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
import type { FollowedRoutes } from "./followed-routes.ts";
import type { FastPath } from "./members/fast-path.ts";
import type { Members } from "./members/members.ts";
import type { SpeakerTimings } from "./metrics.ts";
import type { Sources } from "./sources.ts";

/** The drivers that carry out the core's effects. */
export interface Drivers {
  readonly runner: Pick<SpeakerRunner, "dispatch">;
  readonly layer2: Pick<Layer2, "begin" | "announce" | "listen" | "withdraw" | "reannounce" | "defend" | "probe" | "challenge">;
  readonly configMaps: Pick<ConfigMapWriter, "write">;
  readonly bgp: Pick<BgpSpeaker, "setPeers" | "setRoutes" | "flush" | "addressesChanged">;
  readonly followedRoutes: Pick<FollowedRoutes, "follow">;
  readonly kernel: Pick<KernelKeeper, "want" | "complete">;
  readonly handovers: Pick<HandoverKeeper, "check" | "want" | "flush" | "wantSpeakers" | "complete">;
  readonly flowCounter: Pick<FlowCounter, "want">;
  readonly members: Pick<Members, "start" | "setInterfaces" | "setGossip" | "forgetGossip" | "pullGossip">;
  /** Undefined without a ring. */
  readonly fastPath: Pick<FastPath, "configure"> | undefined;
  readonly sources: Pick<Sources, "startConfig" | "followNodes">;
  readonly checks: Pick<NodeChecks, "changed">;
  readonly events: Pick<EventRecorder, "record">;
  readonly timings: SpeakerTimings;
  readonly log: Log;
}

export function carryOut(drivers: Drivers, effect: SpeakerEffect): void {
  const {
    runner,
    layer2,
    configMaps,
    bgp,
    followedRoutes,
    kernel,
    handovers,
    flowCounter,
    members,
    fastPath,
    sources,
    checks,
    events,
    timings,
    log,
  } = drivers;
  switch (effect.type) {
    case "prepareLayer2":
      void layer2.begin();
      break;
    case "announce":
      handovers.flush();
      layer2.announce(effect.address, { interfaces: effect.interfaces, answers: !effect.kernelAnswers });
      break;
    case "listen":
      layer2.listen(effect.address, effect);
      break;
    case "withdraw":
      layer2.withdraw(effect.address);
      break;
    case "reannounce":
      layer2.reannounce(effect.address);
      break;
    case "defend":
      layer2.defend(effect.address);
      break;
    case "probe":
      layer2.probe(effect.address, effect);
      break;
    case "challenge":
      layer2.challenge(effect.address, effect.to);
      break;
    case "writeOccupant":
      configMaps.write(quarantineConfigMap, [[quarantineKey(effect.address), occupantText(effect)]]);
      break;
    case "writeAnnounced":
      writeAnnounced(configMaps, effect);
      break;
    case "setPeers":
      bgp.setPeers(effect.peers);
      break;
    case "setRoutes":
      bgp.setRoutes(effect.address, effect.routes);
      break;
    case "flushRoutes":
      bgp.flush(effect.complete);
      break;
    case "followRoutes":
      followedRoutes.follow(effect);
      break;
    case "setKernel":
      kernel.want(effect.address.toString(), effect.items);
      break;
    case "completeKernel":
      kernel.complete();
      handovers.complete();
      break;
    case "prepareHandovers":
      handovers.check();
      break;
    case "setHandover":
      handovers.want(effect.address, effect.handover);
      break;
    case "setSpeakers":
      handovers.wantSpeakers(effect.macs);
      break;
    case "countFlows":
      flowCounter.want(effect.address, effect.isCounted);
      break;
    case "setGossip":
      members.setGossip(effect.entries);
      break;
    case "forgetGossip":
      members.forgetGossip(effect.node);
      break;
    case "keepPaths":
      fastPath?.configure(effect.intervalMs);
      break;
    case "pullGossip":
      members.pullGossip(effect.node);
      break;
    case "log":
    case "recordEvent":
      report(effect, events, log);
      break;
    case "recordNodeEvent":
      events.record(nodeReference(effect.node), effect.kind, effect.reason, effect.message);
      break;
    case "tookOver":
      timings.takeovers.inc({ cause: effect.cause });
      if (effect.cause === "failed") timings.failover.observe(effect.afterMs / 1000);
      break;
    case "converged":
      timings.convergence.observe(effect.afterMs / 1000);
      break;
    case "startMembers":
      members.start();
      break;
    case "startConfig":
      sources.startConfig();
      break;
    case "followNodes":
      sources.followNodes(effect.names);
      break;
    case "publishInterfaces":
      members.setInterfaces(effect.interfaces);
      bgp.addressesChanged();
      break;
    case "checkNode":
      checks.changed();
      break;
    case "wake":
      setImmediate(() => runner.dispatch({ type: "continue" }));
      break;
    default:
      effect satisfies never;
  }
}

function occupantText({ occupant }: Extract<SpeakerEffect, { type: "writeOccupant" }>): string | null {
  return occupant === undefined ? null : encodeQuarantine({ ...occupant, since: wallClock().toISOString() });
}

function writeAnnounced(
  configMaps: Drivers["configMaps"],
  { lines, isNew, reporter }: Extract<SpeakerEffect, { type: "writeAnnounced" }>,
): void {
  const byConfigMap = Map.groupBy(lines, ([service]) => announcedConfigMap(service));
  for (const name of isNew ? announcedConfigMaps : byConfigMap.keys()) {
    const those = byConfigMap.get(name) ?? [];
    const data = those.map(([service, line]) => [announcedKey(service), line && encodeAnnounced(line)] as const);
    configMaps.write(name, data, isNew);
  }
  const [first = ""] = announcedConfigMaps;
  if (isNew) configMaps.write(first, [[reporterKey, reporter]]);
  if (isNew || lines.size === 0) configMaps.write(first, [[aliveKey, wallClock().toISOString()]]);
}

/** Lines about Services are the reporter's: a late one of the reporter before would take the place of its own. */
export function mayWrite({ reporter }: { readonly reporter: { readonly isHere: boolean } }): ConfigMapWriterOptions["mayWrite"] {
  return (configMap) => reporter.isHere || !announcedConfigMaps.includes(configMap);
}

/** Delivers what a ConfigMap has, after this node wrote into it. */
export function written(node: string, emit: (event: SpeakerEvent) => void): ConfigMapWriterOptions["onWritten"] {
  return (configMap, data) => {
    if (configMap === announcedConfigMaps[0] && data[reporterKey] !== node) emit({ type: "linesReplaced" });
  };
}
