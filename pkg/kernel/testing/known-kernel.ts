import type { NetlinkMessage } from "#pkg/linux";
import { address, prefix } from "#pkg/net/testing";
import type { AddressItem, Item, RouteItem } from "../state/items.ts";
import { compare } from "../state/observe.ts";
import { applyResult, plan } from "../state/plan.ts";
import { complete, createKernelState, type KernelState, want } from "../state/state.ts";

export const mark = 248;

export function at(text: string, more: Partial<AddressItem> = {}): AddressItem {
  const common = { type: "address", interface: "lb0", prefixLength: 32, protocol: mark, lifetimeSeconds: Infinity } as const;
  return { ...common, isOnLan: false, address: address(text), ...more };
}

export function to(text: string, more: Partial<RouteItem> = {}): RouteItem {
  return { type: "route", interface: "lb0", prefix: prefix(text), table: 198, protocol: mark, ...more };
}

const told = { sequence: 0, interrupted: false };
export const link = (index: number, name: string, up = true, type: "interfaceSet" | "interfaceDeleted" = "interfaceSet") =>
  ({ ...told, type, networkInterface: { index, name, up, kind: "dummy" } }) as NetlinkMessage;
export function has(
  index: number,
  text: string,
  protocol?: number,
  type: "addressSet" | "addressDeleted" = "addressSet",
  more = {},
) {
  const one = { interfaceIndex: index, address: address(text), prefixLength: 32, flags: 0, protocol, validSeconds: Infinity };
  return { ...told, type, address: { ...one, ...more } } as NetlinkMessage;
}
export const routed = (index: number, text: string, protocol = mark): NetlinkMessage => ({
  ...told,
  type: "routeSet",
  route: { prefix: prefix(text), table: 198, protocol, interfaceIndex: index, gateway: undefined },
});

/** A kernel that has these, and one that wants those. */
export function known(
  wanted: readonly Item[],
  messages: readonly NetlinkMessage[] = [],
  { hasMarks = true, isComplete = true } = {},
) {
  const state = createKernelState(hasMarks);
  if (wanted.length > 0) want(state, "a", wanted, 0);
  state.marks.add(mark);
  if (isComplete) complete(state);
  compare(state, { messages: [link(3, "lb0"), ...messages], complete: true }, 0);
  return state;
}

/** The requests of this time, carried out except for the refused ones. */
export function run(state: KernelState, now: number, refusals: Readonly<Record<string, string>> = {}): string[] {
  return plan(state, now, 100).map((one) => {
    const { request } = one;
    const what = "address" in request ? request.address : "prefix" in request ? request.prefix : "";
    const how = request.type === "setAddress" && request.replaces ? "replaceAddress" : request.type;
    applyResult(state, one, refusals[request.type], now);
    return `${how} ${what}`.trim();
  });
}

export const place = (state: KernelState) => [...state.entries.values()].map((one) => one.place).join();
