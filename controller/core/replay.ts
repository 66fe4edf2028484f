import { Allocator } from "#pkg/allocator";
import { Settling } from "#pkg/assignment";
import { DistinctQueue } from "#pkg/collections";
import { PoolIndex } from "#pkg/config";
import { type CoreRunner, Deadlines, defineCore, encode, type Hide, type Plain, type TimerEvent } from "#pkg/core";
import { LiveConfig } from "#pkg/live-config";
import { Agenda } from "./agenda.ts";
import { Announcements } from "./conditions/announcements.ts";
import { Conditions } from "./conditions/conditions.ts";
import { Context } from "./context.ts";
import type { ControllerEffect } from "./effects.ts";
import type { ControllerEvent } from "./events.ts";
import { HeldAddresses, LastGoodRecord } from "./last-good.ts";
import { ExternalIPs } from "./occupancy/external-ips.ts";
import { RecentAssignments } from "./occupancy/recent-assignments.ts";
import { PoolsChange } from "./pools-change.ts";
import { Outage } from "./queue/outage.ts";
import { WorkPlan } from "./queue/work-plan.ts";
import { type ControllerOptions, type ControllerState, createState } from "./state.ts";
import { GivenUp } from "./statuses/given-up.ts";
import { Statuses } from "./statuses/statuses.ts";
import { SummaryPlan } from "./statuses/summary-plan.ts";
import { nextDeadline, step } from "./step.ts";
import { PoolVerdicts } from "./verdicts/pool-verdicts.ts";
import { ServiceVerdicts } from "./verdicts/service-verdicts.ts";
import { ConfigWait } from "./waiting/config-wait.ts";
import { WaitList } from "./waiting/wait-list.ts";

/** Inputs that may change what any Service holds. */
export const commonInputs: ReadonlySet<string> = new Set(["begin", "configMap", "objectsChanging", "configRead"]);

/** Writes, events and log lines; the other effects say no more than the input. */
function describe(effects: readonly ControllerEffect[], hide: Hide): Plain[] {
  const decisions: Plain[] = [];
  for (const effect of effects)
    if (effect.type === "writeStatus" || effect.type === "writeConditions" || effect.type === "recordEvent")
      decisions.push(encode({ ...effect, service: effect.service.key }, hide));
    else if (effect.type === "log" || effect.type === "recordConfigEvent") decisions.push(encode(effect, hide));
  return decisions;
}

/** The controller's core, as it is run, recorded and run again. */
export const controllerCore = defineCore<ControllerState, ControllerEvent, ControllerEffect, ControllerOptions>({
  format: 28,
  createState,
  step,
  nextDeadline,
  longInputs: new Set(["services", "configRead", "occupied", "announced"]),
  toRecord: (event) => event,
  fromRecord: (recorded) => recorded as ControllerEvent,
  describe,
  classes: {
    Agenda,
    Allocator,
    Announcements,
    Conditions,
    ConfigWait,
    Context,
    Deadlines,
    DistinctQueue,
    ExternalIPs,
    GivenUp,
    HeldAddresses,
    LastGoodRecord,
    LiveConfig,
    Outage,
    PoolIndex,
    PoolsChange,
    PoolVerdicts,
    RecentAssignments,
    ServiceVerdicts,
    Settling,
    Statuses,
    SummaryPlan,
    WaitList,
    WorkPlan,
  },
});

export type ControllerRunner = CoreRunner<ControllerState, Exclude<ControllerEvent, TimerEvent>, ControllerEffect>;
