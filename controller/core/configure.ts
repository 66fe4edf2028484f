import { isFor } from "#pkg/allocator";
import { keepRecorded, Settling } from "#pkg/assignment";
import { type Config, isStrict } from "#pkg/config";
import { list } from "#pkg/text";
import { awaitsConfig, settle, takeRecorded } from "./decide.ts";
import { heedOccupants } from "./occupancy/occupancy.ts";
import { PoolsChange } from "./pools-change.ts";
import type { Configuring, ControllerState } from "./state.ts";

// For each what it may keep is looked at: some 10 µs.
const servicesAtOnce = 200;
const poolsAtOnce = 500;
const agesAtOnce = 1_000;
// A decision costs some times what a look does.
const decisionsAtOnce = 50;

/**
 * Addresses are given from these pools, once all Services have been looked at: to the oldest Service first. Until all have been decided on no
 * status is written. If an address in use is in no pool, its Service gives it up if it `mayRenumber`; otherwise this throws, which the caller
 * has to rule out before. Addresses that may be given up for one configuration may be given up for the next one, too, if that comes before
 * all are given up.
 */
export function configure(
  { pools, agenda, context }: ControllerState,
  config: Pick<Config, "pools" | "quotas">,
  mayRenumber: boolean,
): void {
  const number = ++pools.count;
  pools.configuring = {
    number,
    mayRenumber: mayRenumber || pools.configuring?.mayRenumber === true,
    config,
    phase: "pools",
    change: new PoolsChange(config),
    settling: new Settling(),
    keys: [],
    looked: 0,
    elsewhere: [],
  };
  agenda.open();
  agenda.plan.pause();
  context.do({ type: "portion", of: number });
}

/** Some of the Services are looked at. */
export function configurePortion(state: ControllerState, of: number): void {
  const { pools, agenda, context } = state;
  const { configuring } = pools;
  if (configuring?.number !== of) return;
  if (state.changing.size > 0 || !isDone(state, configuring)) {
    context.do({ type: "portion", of });
    return;
  }
  pools.configuring = undefined;
  agenda.plan.resume();
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

/** Does one portion: the rest of a phase, and the beginning of the next. @returns whether it was the last */
function isDone(state: ControllerState, configuring: Configuring): boolean {
  const { services, pools, occupancy, verdicts } = state;
  const { config, phase, keys, looked } = configuring;
  const begin = (next: Configuring["phase"], those: readonly string[]) =>
    isDone(state, Object.assign(configuring, { phase: next, keys: those, looked: 0 }));
  switch (phase) {
    case "pools":
      if (!isReplaced(state, configuring)) return false;
      occupancy.strictPools = new Set(config.pools.filter(isStrict).map(({ name }) => name));
      return begin("order", [...services.keys()]);
    case "order":
      for (const service of keys.slice(looked, looked + agesAtOnce).flatMap((key) => services.get(key) ?? []))
        configuring.settling.add(service);
      configuring.looked += agesAtOnce;
      if (configuring.looked < keys.length || !configuring.settling.order()) return false;
      return begin("keep", configuring.settling.keys);
    case "keep":
      keepSome(state, configuring);
      if (configuring.looked < 2 * keys.length) return false;
      pools.inForce = { type: "configured" };
      return begin("usage", verdicts.pools.replace(config.pools));
    case "usage":
      for (const pool of keys.slice(looked, looked + poolsAtOnce)) verdicts.pools.changed(pool);
      configuring.looked += poolsAtOnce;
      if (configuring.looked < keys.length) return false;
      heedOccupants(state);
      return begin("settle", []);
    case "settle":
      return isSettled(state, configuring) && begin("look", [...services.keys()]);
    case "look":
      for (const key of keys.slice(looked, looked + servicesAtOnce)) look(state, configuring, key);
      configuring.looked += servicesAtOnce;
      if (configuring.looked < keys.length || !takeAppeared(state)) return false;
      tellElsewhere(state, configuring);
      return true;
    default:
      return phase satisfies never;
  }
}

/** Services that are gone, but have not been decided on since, hold nothing any more. */
function isReplaced({ allocator, services, context }: ControllerState, configuring: Configuring): boolean {
  const { mayRenumber, config } = configuring;
  const stranded = configuring.change.step(allocator);
  if (stranded === undefined || stranded.length === 0) return stranded !== undefined;
  for (const { service, address } of stranded) {
    const isGone = services.get(service) === undefined;
    if (!isGone && !mayRenumber) throw new Error(`Cannot change pools: ${service} holds ${address}, which would be in none`);
    if (isGone) forget({ allocator, context }, service);
    else allocator.giveUp(service, address);
  }
  configuring.change = new PoolsChange(config);
  return false;
}

/** A Service has appeared. Its name may still hold addresses of an earlier Service, which would be in the way of the new pools. */
export function appearedInChange({ allocator, context, pools: { configuring } }: ControllerState, service: string): void {
  if (configuring?.phase !== "pools" || !forget({ allocator, context }, service)) return;
  configuring.change = new PoolsChange(configuring.config);
}

/** @returns whether it held something */
function forget({ allocator, context }: Pick<ControllerState, "allocator" | "context">, service: string): boolean {
  const { addresses = [] } = allocator.held(service) ?? {};
  if (!allocator.release(service)) return false;
  context.log("info", "service deleted", { event: "serviceDeleted", service, ips: addresses.map(String) });
  return true;
}

/** All Services that share addresses come first, then the others. */
function keepSome({ allocator, services, statuses, pools }: ControllerState, configuring: Configuring): void {
  const { keys, looked } = configuring;
  const status = pools.inForce.type === "configured" ? "written" : "recorded";
  const end = Math.min(looked + servicesAtOnce, 2 * keys.length);
  for (let index = looked; index < end; index++) {
    const service = statuses.withoutReplaced(services.get(keys[index % keys.length] ?? ""));
    if (service !== undefined) keepRecorded(service, allocator, status, index < keys.length);
  }
  configuring.looked = end;
}

/** Services that came meanwhile may have on record what must not be given to others. */
function isSettled(state: ControllerState, { settling }: Configuring): boolean {
  if (!takeAppeared(state)) return false;
  const decideOn = (key: string) => {
    const held = state.allocator.held(key);
    if (held === undefined && state.services.get(key)?.ingress.length === 0 && awaitsConfig(state, key)) return undefined;
    state.agenda.settled.add(key);
    return settle(state, key, held);
  };
  for (let decisions = 0; decisions < decisionsAtOnce; decisions++) if (settling.step(state.allocator, decideOn)) return true;
  return false;
}

function look({ allocator, agenda }: ControllerState, { elsewhere }: Configuring, key: string): void {
  agenda.plan.add(key);
  if (!allocator.hasReserved) return;
  for (const address of allocator.held(key)?.addresses ?? []) {
    const holder = allocator.reservedFor(address);
    if (holder !== undefined && !isFor(holder, key)) elsewhere.push(`${address} with ${key}`);
  }
}

function tellElsewhere(state: ControllerState, { elsewhere }: Configuring): void {
  if (elsewhere.length === 0) return;
  const message = `reserved addresses stay with the Services that hold them: ${list(elsewhere, "; ")}`;
  state.context.recordConfigEvent("Normal", "ReservedAddressHeld", message);
}

/** @returns whether those were all: after a restore of the API they are thousands */
function takeAppeared(state: ControllerState): boolean {
  const { appeared } = state.pools;
  const some = [...appeared.values().take(servicesAtOnce)];
  for (const key of some) appeared.delete(key);
  takeRecorded(state, some);
  return appeared.size === 0;
}
