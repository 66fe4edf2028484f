import { Allocator } from "#pkg/allocator";
import type { Settling } from "#pkg/assignment";
import type { Millis } from "#pkg/clock";
import type { Config } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { LiveConfig, type NamespaceLabels } from "#pkg/live-config";
import type { Occupant } from "#pkg/quarantine";
import type { Dated } from "#pkg/verdict";
import { Agenda } from "./agenda.ts";
import { Announcements } from "./conditions/announcements.ts";
import { Conditions } from "./conditions/conditions.ts";
import { Context } from "./context.ts";
import { type Configuration, HeldAddresses, LastGoodRecord } from "./last-good.ts";
import { ExternalIPs } from "./occupancy/external-ips.ts";
import { RecentAssignments } from "./occupancy/recent-assignments.ts";
import type { PoolsChange } from "./pools-change.ts";
import { GivenUp } from "./statuses/given-up.ts";
import { Statuses } from "./statuses/statuses.ts";
import { SummaryPlan } from "./statuses/summary-plan.ts";
import { PoolVerdicts } from "./verdicts/pool-verdicts.ts";
import { ServiceVerdicts } from "./verdicts/service-verdicts.ts";
import { ConfigWait } from "./waiting/config-wait.ts";
import { WaitList } from "./waiting/wait-list.ts";
import type { AllocationTerms } from "./waiting/waits.ts";

export interface ControllerOptions {
  /** Of chance: any number. */
  readonly seed: number;
  /** Namespace and name of the ConfigMap with the configuration, as `NAMESPACE/NAME`; or what the configuration is instead. */
  readonly configMap: string;
  /** Services get conditions. */
  readonly hasConditions: boolean;
  /** Services get annotations with the pool of their addresses. */
  readonly hasPoolAnnotations: boolean;
}

/** All decisions of a controller. `step` changes it in place: a copy of the tables for each event would cost more than the event itself. */
export interface ControllerState {
  readonly context: Context;
  readonly options: ControllerOptions;
  readonly services: Map<string, Service>; // key -> as it was seen last; all of one list at once
  readonly changing: Map<string, Service | undefined>; // key of a Service that changed -> as it was before, until the change counts
  readonly allocator: Allocator;
  readonly agenda: Agenda;
  /** This controller is the one that works. */
  isLeading: boolean;
  /** It decides: it leads, and has seen all. */
  isWorking: boolean;
  /** All has been seen, and is still seen. */
  isCurrent: boolean;
  /** `wake` was asked for. */
  isAwake: boolean;
  readonly configuration: Configuration;
  readonly pools: Pools;
  readonly occupancy: Occupancy;
  readonly asked: Requests;
  readonly externalIPs: ExternalIPs;
  readonly givenUp: GivenUp;
  readonly statuses: Statuses;
  readonly summary: SummaryPlan;
  readonly announcements: Announcements;
  readonly conditions: Conditions;
  readonly verdicts: { readonly services: ServiceVerdicts; readonly pools: PoolVerdicts };
}

/** Which pools addresses are given from. */
export interface Pools {
  inForce: { readonly type: "idle" | "configured" } | { readonly type: "unconfigured"; readonly why: string };
  /** The change to other pools that is under way. */
  configuring: Configuring | undefined;
  /** How many configurations there were. */
  count: number;
  /** Services that came meanwhile with other addresses on record than they hold. */
  readonly appeared: Set<string>;
}

/** Services are looked at under other pools, in portions. */
export interface Configuring {
  readonly number: number;
  readonly mayRenumber: boolean;
  readonly config: Pick<Config, "pools" | "quotas">;
  phase: "pools" | "order" | "keep" | "usage" | "settle" | "look";
  change: PoolsChange;
  readonly settling: Settling;
  /** Keys that this phase looks at, and how many it has looked at. */
  keys: readonly string[];
  looked: number;
  readonly elsewhere: string[]; // Reserved addresses with other Services, in words.
}

/** Which addresses of pools cannot be given, because others have them. */
export interface Occupancy {
  reported: ReadonlyMap<string, Occupant>; // address -> the host of the network that has it, as speakers report
  occupants: ReadonlyMap<string, string>; // address -> the same in words, of those that count
  strictPools: ReadonlySet<string>;
  readonly recent: RecentAssignments;
}

/** What Services ask for, and what they were told. */
export interface Requests {
  readonly waiting: WaitList;
  readonly terms: Map<string, AllocationTerms>; // service -> the terms on which it shares what it holds
  readonly warnings: Map<string, string>; // service -> the last warning, while it holds
  readonly notes: Map<string, string>; // service -> the same of its last note
  readonly since: Map<string, Millis>; // service without addresses -> when that was seen
}

/** A controller that has decided nothing. */
export function createState(options: ControllerOptions, now: Millis = 0): ControllerState {
  const context = new Context(options.seed);
  context.now = now;
  const agenda = new Agenda(context);
  const allocator = new Allocator(true);
  const givenUp = new GivenUp(allocator, agenda);
  const services = new Map<string, Service>();
  const labels: NamespaceLabels = { missing: "they have not been seen" };
  const live = new LiveConfig(context, new HeldAddresses(allocator, services), labels, now, options.configMap, {
    configMap: options.configMap,
  });
  return {
    context,
    options,
    services,
    changing: new Map(),
    allocator,
    agenda,
    isLeading: false,
    isWorking: false,
    isCurrent: false,
    isAwake: false,
    configuration: { live, record: new LastGoodRecord(context), wait: new ConfigWait(context, live), touched: new Set() },
    pools: { inForce: { type: "idle" }, configuring: undefined, count: 0, appeared: new Set() },
    occupancy: {
      reported: new Map(),
      occupants: new Map(),
      strictPools: new Set(),
      recent: new RecentAssignments(context),
    },
    asked: { waiting: new WaitList(), terms: new Map(), warnings: new Map(), notes: new Map(), since: new Map() },
    externalIPs: new ExternalIPs(context),
    givenUp,
    statuses: new Statuses(context, givenUp),
    summary: new SummaryPlan(context),
    announcements: new Announcements(context, options.hasConditions),
    conditions: new Conditions(context, options.hasConditions, options.hasPoolAnnotations),
    verdicts: { services: new ServiceVerdicts(context), pools: new PoolVerdicts(allocator, context) },
  };
}

/** A fault of a Service that does not come from the last decision on it. */
export function problemBeside(
  { statuses, externalIPs, services }: ControllerState,
  service: Service,
  now: Millis,
): Dated<Millis> | undefined {
  return statuses.problemOf(service.key, now) ?? externalIPs.problemOf(service, services);
}
