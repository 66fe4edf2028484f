import type { Address } from "#pkg/net";
import type { AddressRequest, Port } from "#pkg/service";
import type { Refusal } from "./types.ts";

/** The part of a request that decides who may be on one address with whom. */
export type Terms = Pick<AddressRequest, "service" | "sharingKey" | "backendKey" | "ports">;

const noPorts: readonly Port[] = [];

/** Only what later decisions need is kept: without a sharing key the ports never matter. */
export function termsOf({ service, sharingKey, backendKey, ports }: AddressRequest): Terms {
  return { service, sharingKey, backendKey, ports: sharingKey === "" ? noPorts : ports };
}

/** Such as `80/TCP`. */
export function portText({ protocol, port }: Port): string {
  return `${port}/${protocol}`;
}

/** Why a Service may not have `address` while `holder` has it too; nothing stands between a Service and itself. */
export function conflict(terms: Terms, holder: Terms, address: Address): Refusal | undefined {
  if (terms.service === holder.service) return undefined;
  const found = { address, holder: holder.service };
  if (terms.sharingKey === "" || holder.sharingKey === "") return { reason: "inUse", ...found };
  if (terms.sharingKey !== holder.sharingKey)
    return { reason: "sharingKeyMismatch", ...found, key: terms.sharingKey, holderKey: holder.sharingKey };
  if (terms.backendKey !== holder.backendKey)
    return { reason: "backendKeyMismatch", ...found, key: terms.backendKey, holderKey: holder.backendKey };
  const port = terms.ports.find((wanted) => holder.ports.some((taken) => isSame(wanted, taken)));
  return port && { reason: "portClash", ...found, port };
}

function isSame(a: Port, b: Port): boolean {
  return a.port === b.port && a.protocol === b.protocol;
}
