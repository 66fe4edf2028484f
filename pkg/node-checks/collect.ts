import type { InterfaceState } from "#pkg/layer2";
import { parseAddress, parsePrefix } from "#pkg/net";
import type { Interface, InterfaceAddress, Settings } from "./facts.ts";
import { kubeProxyIpvs } from "./finding.ts";
import { decodeIpv4Routes, decodeIpv6Routes, type Route } from "./route-codec.ts";

/** The text of a file of /proc, given by its path there; undefined if there is none. */
export type ReadProc = (path: string) => string | undefined;

/** What is known of an interface; without settings when it has just gone. */
export function collectInterface(read: ReadProc, { name, status, addresses }: InterfaceState): Interface {
  if (name === kubeProxyIpvs) return { name, eligible: false, addresses: [], settings: undefined };
  const eligible = status === "answering" || status === "failing";
  const parsed = addresses.flatMap(interfaceAddresses);
  const wanted = eligible && parsed.some(({ address }) => address.family === "IPv4");
  return { name, eligible, addresses: parsed, settings: wanted ? collectSettings(read, name) : undefined };
}

/** The main tables of both families. */
export function collectRoutes(read: ReadProc): Route[] {
  return [...decodeIpv4Routes(read("net/route") ?? ""), ...decodeIpv6Routes(read("net/ipv6_route") ?? "")];
}

function collectSettings(read: ReadProc, name: string): Settings | undefined {
  const effective = (setting: string): number | undefined => {
    const [own, all] = [name, "all"].map((where) => readNumber(read, `sys/net/ipv4/conf/${where}/${setting}`));
    return own === undefined || all === undefined ? undefined : Math.max(own, all);
  };
  const [rpFilter, arpIgnore, arpAnnounce] = ["rp_filter", "arp_ignore", "arp_announce"].map(effective);
  if (rpFilter === undefined || arpIgnore === undefined || arpAnnounce === undefined) return undefined;
  // A kernel without IPv6, or a link too small for it, has no such setting.
  return { rpFilter, arpIgnore, arpAnnounce, disableIpv6: readNumber(read, `sys/net/ipv6/conf/${name}/disable_ipv6`) ?? 0 };
}

/** @returns undefined if there is no such file */
export function readNumber(read: ReadProc, path: string): number | undefined {
  const text = read(path);
  return text === undefined ? undefined : Number(text);
}

/** None for an IPv4-mapped IPv6 address, which is of no use on a LAN. */
function interfaceAddresses(text: string): InterfaceAddress[] {
  const address = parseAddress(text.split("/")[0] ?? "");
  const prefix = parsePrefix(text);
  return address === undefined || prefix === undefined ? [] : [{ address, prefix }];
}
