import { isFor } from "#pkg/allocator";
import { keepAll, settling } from "#pkg/assignment";
import { type Config, isStrict } from "#pkg/config";
import { list } from "#pkg/text";
import { settle, takeRecorded } from "./decide.ts";
import { heedOccupants } from "./occupancy/occupancy.ts";
import type { ControllerState } from "./state.ts";

// For each what it may keep is looked at: some 10 µs.
const servicesAtOnce = 200;
// A decision costs some times that.
const decisionsAtOnce = 50;

/**
 * Addresses are given from these pools, once all Services have been looked at: to the oldest Service first. Until all have been decided on no
 * status is written. If an address in use
 * is in no pool, its Service gives it up if it `mayRenumber`; otherwise this throws, which the caller has to rule out before. Addresses
 * that may be given up for one configuration may be given up for the next one, too, if that comes before all are given up.
 */
export function configure(state: ControllerState, config: Pick<Config, "pools" | "quotas">, mayRenumber: boolean): void {
  const { pools, agenda, context } = state;
  const number = ++pools.count;
  const mayRenumberNow = mayRenumber || pools.configuring?.mayRenumber === true;
  pools.configuring = { number, mayRenumber: mayRenumberNow, steps: configuring(state, config, mayRenumberNow) };
  agenda.open();
  agenda.plan.pause();
  context.do({ type: "portion", of: number });
}

/** Some of the Services are looked at. */
export function configurePortion({ pools, agenda, context }: ControllerState, of: number): void {
  if (pools.configuring?.number !== of) return;
  if (pools.configuring.steps.next().done) {
    pools.configuring = undefined;
    agenda.plan.resume();
  } else context.do({ type: "portion", of });
}

/** There is no configuration at all, and this is why: Services that need an address get an event. */
export function unconfigure({ pools, agenda, services }: ControllerState, why: string): void {
  pools.configuring = undefined;
  pools.appeared.clear();
  pools.inForce = { type: "unconfigured", why };
  agenda.open();
  agenda.plan.resume();
  for (const { key } of services.values()) agenda.changed(key);
}

/** A step for some hundred Services each. */
function* configuring(
  state: ControllerState,
  { pools: configured, quotas }: Pick<Config, "pools" | "quotas">,
  mayRenumber: boolean,
): Generator<undefined, void> {
  const { allocator, services, statuses, pools, agenda, context, occupancy, verdicts } = state;
  let stranded = yield* allocator.replacePools(configured, quotas);
  if (stranded.length > 0) {
    // Services that are gone, but have not been decided on since, hold nothing any more.
    for (const { service, address } of stranded) {
      if (services.get(service) !== undefined) {
        if (mayRenumber) allocator.giveUp(service, address);
      } else if (allocator.release(service))
        context.log("info", "service deleted", { event: "serviceDeleted", service, ips: [address] });
    }
    stranded = yield* allocator.replacePools(configured, quotas);
  }
  for (const { service, address } of stranded)
    throw new Error(`Cannot change pools: ${service} holds ${address}, which would be in none`);
  occupancy.strictPools = new Set(configured.filter(isStrict).map(({ name }) => name));
  const status = pools.inForce.type === "configured" ? "written" : "recorded";
  const keys = Array.from(services.values(), ({ key }) => key);
  let looked = 0;
  for (const _ of keepAll(keys, (key) => statuses.withoutReplaced(services.get(key)), allocator, status))
    if (++looked % servicesAtOnce === 0) yield;
  pools.inForce = { type: "configured" };
  yield* verdicts.pools.replace();
  heedOccupants(state);
  takeAppeared(state);
  for (const _ of settling(services.values(), allocator, (key) => settle(state, key)))
    if (++looked % decisionsAtOnce === 0) {
      yield;
      takeAppeared(state);
    }
  const elsewhere: string[] = [];
  for (const { key } of services.values()) {
    if (++looked % servicesAtOnce === 0) yield;
    agenda.changed(key);
    if (allocator.hasReserved)
      for (const address of allocator.held(key)?.addresses ?? []) {
        const holder = allocator.reservedFor(address);
        if (holder !== undefined && !isFor(holder, key)) elsewhere.push(`${address} with ${key}`);
      }
  }
  // In this step, so that none appears before decisions go on.
  takeAppeared(state);
  if (elsewhere.length === 0) return;
  const message = `reserved addresses stay with the Services that hold them: ${list(elsewhere, "; ")}`;
  context.do({ type: "recordConfigEvent", kind: "Normal", reason: "ReservedAddressHeld", message });
}

/** Services that came meanwhile have on record what they do not hold: it must not be given to others. */
function takeAppeared(state: ControllerState): void {
  takeRecorded(state, state.pools.appeared);
  state.pools.appeared.clear();
}
