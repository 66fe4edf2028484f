import type { Millis } from "#pkg/clock";
import { configure, configurePortion, unconfigure } from "./configure.ts";
import { decideOn } from "./decide.ts";
import type { ControllerEffect } from "./effects.ts";
import type { ControllerEvent, KeeperEvent } from "./events.ts";
import { setIpam, setOccupied } from "./occupancy/occupancy.ts";
import { namespaceChanged, relisted, serviceChanged, servicesSeen } from "./seen.ts";
import { type ControllerState, createState } from "./state.ts";

/** When `timer` has something to do; Infinity without anything. */
export function nextDeadline({ isAwake, agenda }: ControllerState): Millis {
  return isAwake ? Infinity : agenda.plan.deadline;
}

/** Advances a controller by one event; `state` is changed in place. Cost follows the Services that something changed for. */
export function step(state: ControllerState, event: ControllerEvent, now: Millis): ControllerEffect[] {
  if (event.type === "begin") Object.assign(state, createState(state.options));
  const { context, agenda } = state;
  context.now = now;
  react(state, event);
  if (!state.isAwake && agenda.plan.deadline <= now) {
    state.isAwake = true;
    context.do({ type: "wake" });
  }
  return context.end();
}

function react(state: ControllerState, event: ControllerEvent): void {
  const { context, agenda, services } = state;
  switch (event.type) {
    case "services":
      servicesSeen(state, event.changed);
      break;
    case "service":
      serviceChanged(state, event.key);
      break;
    case "relisted":
      relisted(state);
      break;
    case "namespace":
      namespaceChanged(state, event);
      break;
    case "namespacesKnown":
      context.do({ type: "judgeNamespaces" });
      for (const { key } of services.values()) agenda.changed(key);
      break;
    case "configMap":
      context.do({ type: "judgeConfig", configMap: event.now });
      break;
    case "statusMap":
      context.do({ type: "readStatus", configMap: event.now });
      break;
    case "occupied":
      setOccupied(state, event.reported);
      break;
    case "seen":
      state.isCurrent = event.isCurrent;
      beginWhenCurrent(state);
      break;
    case "lead":
      state.isLeading = true;
      beginWhenCurrent(state);
      break;
    case "config":
      configure(state, event.config, event.mayRenumber);
      context.do({ type: "keepRecords", pools: event.config.pools });
      break;
    case "noConfig":
      unconfigure(state, event.why);
      break;
    case "judged":
      context.do({ type: "summarize" });
      break;
    case "ipam":
      setIpam(state, event.pools);
      context.do({ type: "summarize" });
      break;
    case "ipamProblem":
      reportIpam(state, event);
      break;
    case "portion":
      configurePortion(state, event.of);
      break;
    case "statusWritten":
      agenda.plan.endLate(event.key, state.statuses.ended(event.key, event.addresses, event), context.now);
      break;
    case "continue":
      state.isAwake = false;
      proceed(state);
      break;
    case "begin":
    case "timer":
      break; // Due work follows each event.
    case "stop":
      state.pools.configuring = undefined;
      agenda.plan.close();
      break;
    default:
      event satisfies never;
  }
}

/** On a standby that lost a watch, objects may be stale: with an old ConfigMap it would undo what was changed since. */
function beginWhenCurrent(state: ControllerState): void {
  const { isWorking, isLeading, isCurrent, context, services } = state;
  if (isWorking || !isLeading || !isCurrent) return;
  state.isWorking = true;
  context.log("info", "synced, assigning addresses", { event: "stateSynced", services: services.size });
  context.do({ type: "startConfig" });
}

/** Decides on one Service: what follows from that, such as another configuration in force, comes before the next. */
function proceed(state: ControllerState): void {
  const { agenda, context } = state;
  const begun = agenda.plan.begin(context.now);
  if (begun === undefined) return;
  context.do({ type: "updated" });
  const outcome = decideOn(state, begun.key);
  if (outcome === undefined) agenda.plan.goesOn(begun, context.now);
  else agenda.plan.end(begun.key, outcome, context.now);
}

function reportIpam({ context }: ControllerState, { pool, problem }: Extract<KeeperEvent, { type: "ipamProblem" }>): void {
  if (problem === undefined) {
    context.log("info", "NetBox is as it should be again", { event: "ipamWorking", pool });
    return;
  }
  context.log("warn", "a pool's records in NetBox cannot be kept", { event: "ipamFailing", pool, error: problem });
  const message = `Pool ${JSON.stringify(pool)}: ${problem}`;
  context.do({ type: "recordConfigEvent", kind: "Warning", reason: "ipamFailing", message });
}
