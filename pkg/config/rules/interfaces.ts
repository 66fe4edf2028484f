import { canReachPrefix, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import type { Place } from "../problems.ts";
import type { RawList } from "../shape/raw.ts";

/** Reads `interfaces`: names in which `*` and `?` stand for characters, or `can_reach:` before an address. */
export function readInterfaces(raw: RawList<string>, at: Place): string[] {
  const names: string[] = [];
  for (const [name, here] of at.each(raw)) {
    if (name.startsWith(canReachPrefix)) {
      const address = parseAddress(name.slice(canReachPrefix.length));
      if (address === undefined) here.error(notReachable(name));
      else names.push(`${canReachPrefix}${address}`);
      continue;
    }
    checkName(name, here);
    names.push(name);
  }
  return names;
}

/** Reads the interfaces of a peer: as `readInterfaces`, without addresses to reach. */
export function readInterfaceNames(names: readonly string[], at: Place): readonly string[] {
  for (const name of names) checkName(name, at);
  return names;
}

function checkName(name: string, at: Place): void {
  if (!canMatch(name)) at.error(notAName(name));
  else if (otherWildcards.test(name)) at.warn(asItStands(name));
}

/** Whether it names one interface: without characters that stand for others. */
export function isInterfaceName(name: string): boolean {
  return canMatch(name) && !/[*?]/.test(name) && name !== "." && name !== "..";
}

export function notAnInterface(name: string): string {
  return `no interface is named ${quote(name)}: at most ${nameOctets} octets, without blanks, "/", ":", "*" and "?"${ofLongName(name)}`;
}

const nameOctets = 15; // IFNAMSIZ of Linux, without the octet that ends it.
const otherWildcards = /[[\]{}()^$|\\+]/;

/** Whether an interface may have such a name (`dev_valid_name` of Linux). */
function canMatch(name: string): boolean {
  return !/[\s/:]/.test(name) && !isLong(name);
}

function isLong(name: string): boolean {
  return new TextEncoder().encode(name.replaceAll("*", "")).length > nameOctets;
}

/** Linux takes second names of up to 127 octets, and finds an interface by 15. */
function ofLongName(name: string): string {
  return isLong(name) ? "; a longer second name (altname) is not supported" : "";
}

function notAName(name: string): string {
  return `no interface has a name like ${quote(name)}: at most ${nameOctets} octets besides "*", without blanks, "/" and ":"${ofLongName(name)}`;
}

function notReachable(name: string): string {
  return `must have an IP address after "${canReachPrefix}", such as "${canReachPrefix}192.0.2.1", but is ${quote(name)}`;
}

function asItStands(name: string): string {
  return `only "*" and "?" stand for other characters, so that ${quote(name)} asks for the rest of it as it is written`;
}
