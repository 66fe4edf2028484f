import { Allocator } from "#pkg/allocator";
import { Settling } from "#pkg/assignment";
import { DistinctQueue } from "#pkg/collections";
import { type CoreRunner, Deadlines, defineCore, encode, type Hide, type Plain, type TimerEvent } from "#pkg/core";
import { Agenda } from "./agenda.ts";
import { Context } from "./context.ts";
import type { ControllerEffect } from "./effects.ts";
import type { ControllerEvent } from "./events.ts";
import { RecentAssignments } from "./occupancy/recent-assignments.ts";
import { PoolsChange } from "./pools-change.ts";
import { Outage } from "./queue/outage.ts";
import { WorkPlan } from "./queue/work-plan.ts";
import { type ControllerOptions, type ControllerState, createState } from "./state.ts";
import { GivenUp } from "./statuses/given-up.ts";
import { Statuses } from "./statuses/statuses.ts";
import { nextDeadline, step } from "./step.ts";
import { PoolVerdicts } from "./verdicts/pool-verdicts.ts";
import { ServiceVerdicts } from "./verdicts/service-verdicts.ts";
import { WaitList } from "./waiting/wait-list.ts";

/** Inputs that may change what any Service holds. */
export const commonInputs: ReadonlySet<string> = new Set(["begin", "config", "noConfig"]);

/** Writes, events and log lines; the other effects say no more than the input. */
function describe(effects: readonly ControllerEffect[], hide: Hide): Plain[] {
  const decisions: Plain[] = [];
  for (const effect of effects)
    if (effect.type === "writeStatus" || effect.type === "recordEvent")
      decisions.push(encode({ ...effect, service: effect.service.key }, hide));
    else if (effect.type === "log" || effect.type === "recordConfigEvent") decisions.push(encode(effect, hide));
  return decisions;
}

/** The texts of ConfigMaps have secrets, and do nothing here; of a configuration only pools and quotas count. */
function toRecord(event: ControllerEvent): unknown {
  if (event.type === "configMap" || event.type === "statusMap") return { type: event.type };
  return event.type === "config" ? { ...event, config: { pools: event.config.pools, quotas: event.config.quotas } } : event;
}

/** The controller's core, as it is run, recorded and run again. */
export const controllerCore = defineCore<ControllerState, ControllerEvent, ControllerEffect, ControllerOptions>({
  format: 4,
  createState,
  step,
  nextDeadline,
  longInputs: new Set(["services", "config", "ipam", "occupied"]),
  toRecord,
  fromRecord: (recorded) => recorded as ControllerEvent,
  describe,
  classes: {
    Agenda,
    Allocator,
    Context,
    Deadlines,
    DistinctQueue,
    GivenUp,
    Outage,
    PoolsChange,
    PoolVerdicts,
    RecentAssignments,
    ServiceVerdicts,
    Settling,
    Statuses,
    WaitList,
    WorkPlan,
  },
});

export type ControllerRunner = CoreRunner<ControllerState, Exclude<ControllerEvent, TimerEvent>, ControllerEffect>;
