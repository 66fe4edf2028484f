import type { Millis } from "#pkg/clock";
import { desiredAnnotations, desiredConditions } from "./conditions/desired.ts";
import { configMapSeen, decided, endStep, lastGoodSeen } from "./configuration.ts";
import { configurePortion } from "./configure.ts";
import { decideOn } from "./decide.ts";
import type { ControllerEffect } from "./effects.ts";
import type { ControllerEvent, KeeperEvent } from "./events.ts";
import { ipamChanged, setOccupied } from "./occupancy/occupancy.ts";
import { namespaceChanged, relisted, serviceChanged, servicesSeen } from "./seen.ts";
import { type ControllerState, createState, problemBeside } from "./state.ts";

/** When `timer` has something to do; Infinity without anything. */
export function nextDeadline(state: ControllerState): Millis {
  const { configuration, summary, conditions, announcements } = state;
  return Math.min(
    summary.deadline,
    configuration.record.deadline,
    configuration.wait.deadline,
    conditions.nextDeadline,
    announcements.nextDeadline,
    workAt(state),
  );
}

/** When `wake` is to be asked for. Not while changes of a list do not count yet: an address that a Service has on record would be another's. */
function workAt({ isAwake, changing, agenda }: ControllerState): Millis {
  return isAwake || changing.size > 0 ? Infinity : agenda.plan.deadline;
}

/** Advances a controller by one event; `state` is changed in place. Cost follows the Services that something changed for. */
export function step(state: ControllerState, event: ControllerEvent, now: Millis): ControllerEffect[] {
  if (event.type === "begin") Object.assign(state, createState(state.options, now));
  const { context } = state;
  context.now = now;
  react(state, event);
  endStep(state);
  state.summary.work();
  state.announcements.tellDue(state.services);
  if (state.announcements.fallsSilent(state.isCurrent, state.services))
    for (const key of state.services.keys()) state.conditions.touch(key);
  lookAtConditions(state);
  if (workAt(state) <= now) {
    state.isAwake = true;
    context.do({ type: "wake" });
  }
  return context.end();
}

function react(state: ControllerState, event: ControllerEvent): void {
  const { context, agenda, configuration, services } = state;
  switch (event.type) {
    case "services":
      servicesSeen(state, event.changed);
      break;
    case "service":
      if (state.changing.has(event.key)) serviceChanged(state, event.key);
      beginWhenCurrent(state);
      break;
    case "relisted":
      relisted(state);
      break;
    case "namespace":
      namespaceChanged(state, event);
      break;
    case "namespacesKnown":
      configuration.live.namespaceLabelsChanged(event.labels);
      for (const { key } of services.values()) agenda.changed(key);
      break;
    case "configMap":
      configMapSeen(state, event);
      break;
    case "objectsChanging":
      configuration.wait.areObjectsChanging = event.areChanging;
      break;
    case "statusMap":
      lastGoodSeen(state, event);
      break;
    case "summaryMap":
      state.summary.saw(event.hash, state.isWorking);
      break;
    case "occupied":
      setOccupied(state, event.reported);
      break;
    case "announced":
      for (const key of state.announcements.seen(event, services)) state.conditions.touch(key);
      break;
    case "conditionsWritten":
      state.conditions.ended(event.key, event.failure);
      break;
    case "seen":
      state.isCurrent = event.isCurrent;
      beginWhenCurrent(state);
      break;
    case "lead":
      state.isLeading = true;
      beginWhenCurrent(state);
      break;
    case "configRead":
      configuration.live.read(event.secretText, event.parsed);
      break;
    case "judgePortion":
      decided(state, configuration.live.portion(event.of));
      break;
    case "lastGoodWritten":
      configuration.record.ended(event.secretText, event.failure);
      state.summary.changed();
      break;
    case "ipam":
      ipamChanged(state, event);
      state.summary.changed();
      break;
    case "ipamProblem":
      reportIpam(state, event);
      break;
    case "portion":
      configurePortion(state, event.of);
      break;
    case "statusWritten":
      agenda.plan.endLate(event.key, state.statuses.ended(event.key, event.addresses, event), context.now);
      state.givenUp.look(event.key, state.statuses.mayHave(event.key, state.services.get(event.key)));
      state.conditions.touch(event.key);
      break;
    case "summaryCollected":
      state.summary.collected(event.hash);
      break;
    case "summaryWritten":
      state.summary.wrote(event);
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
      state.summary.stop();
      configuration.record.stop();
      break;
    default:
      event satisfies never;
  }
}

/** On a standby that lost a watch, objects may be stale: with an old ConfigMap it would undo what was changed since. */
function beginWhenCurrent(state: ControllerState): void {
  const { isWorking, isLeading, isCurrent, changing, configuration, context, services } = state;
  if (isWorking || !isLeading || !isCurrent || changing.size > 0) return;
  state.isWorking = true;
  state.announcements.begin(services);
  context.log("info", "synced, assigning addresses", { event: "stateSynced", services: services.size });
  configuration.live.start();
}

/** Decides on one Service: what follows from that, such as another configuration in force, comes before the next. */
function proceed(state: ControllerState): void {
  const { agenda, changing, context } = state;
  const begun = changing.size > 0 ? undefined : agenda.plan.begin(context.now);
  if (begun === undefined) return;
  context.do({ type: "updated" });
  const outcome = decideOn(state, begun.key);
  state.conditions.touch(begun.key);
  if (outcome === undefined) agenda.plan.goesOn(begun, context.now);
  else agenda.plan.end(begun.key, outcome, context.now);
}

// Each takes some microseconds.
const maxLooked = 100;

/** Has the conditions of some Services written that may be others by now, and tells whose addresses others name. */
function lookAtConditions(state: ControllerState): void {
  const { conditions, announcements, services, allocator, statuses, verdicts, context, options } = state;
  const [namespace = ""] = options.configMap.split("/");
  for (let looked = 0; looked < maxLooked; looked++) {
    const key = conditions.take();
    if (key === undefined) return;
    const service = services.get(key);
    if (service === undefined) conditions.forget(key); // It was refused after it was gone.
    // A status on its way is seen soon.
    if (service === undefined || !state.isWorking || statuses.isUnderWay(key)) continue;
    state.externalIPs.tell(service, services);
    const held = allocator.held(key);
    const assigned = verdicts.services.of(service, held, problemBeside(state, service, context.now));
    const installation = { isSilent: announcements.isSilent, namespace };
    const desired = desiredConditions(service, assigned.verdict, announcements.of(service), installation);
    conditions.put(service, desired, desiredAnnotations(service, assigned.verdict, held));
  }
}

function reportIpam({ context }: ControllerState, { pool, problem }: Extract<KeeperEvent, { type: "ipamProblem" }>): void {
  if (problem === undefined) {
    context.log("info", "NetBox is as it should be again", { event: "ipamWorking", pool });
    return;
  }
  context.log("warn", "a pool's records in NetBox cannot be kept", { event: "ipamFailing", pool, error: problem });
  const message = `Pool ${JSON.stringify(pool)}: ${problem}`;
  context.recordConfigEvent("Warning", "ipamFailing", message);
}
