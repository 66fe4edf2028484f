import type { InterfaceState } from "#pkg/layer2";
import { formatMac, macBytes, macLength, parseMac } from "#pkg/net";

const maxMacs = 8;

/**
 * The MAC addresses that a node publishes to the others, in the form of `MetadataKey.macs`: of the interfaces that announce, at most eight.
 * Interfaces in subnets come first: next to them a node may have a hundred that lead to its own Pods. Where they are too many, as of a host with bridges
 * for containers, those with a carrier do; of fewer a carrier that comes and goes is nothing to tell the others. One counts that fails to answer, as while its
 * thread begins again: the others would take it for a strange host when it announces. Likewise a member of a bond, whose MAC address Linux puts into
 * replies in mode `balance-alb`.
 */
export function macsOf(interfaces: readonly InterfaceState[]): Uint8Array {
  const answering = interfaces.filter(({ status }) => status === "answering" || status === "failing");
  const inSubnets = answering.filter(({ addresses }) => addresses.some((address) => !address.startsWith("fe80:")));
  const enslaved = interfaces.filter(({ status, leadsToPod }) => status === "enslaved" && leadsToPod !== true);
  const ranked = [...inSubnets, ...answering, ...enslaved];
  const all = new Set(ranked.map(({ mac }) => mac));
  const running = all.size > maxMacs ? inSubnets.filter((one) => one.running) : [];
  const macs = new Set([...running.map(({ mac }) => mac), ...all]);
  return Uint8Array.from([...macs].slice(0, maxMacs).flatMap((mac) => [...macBytes(parseMac(mac) ?? 0)]));
}

/** `MetadataKey.macs` of a member. Octets of an incomplete address, and addresses above the limit, are ignored. */
export function decodeMacs(bytes: Uint8Array): string[] {
  const macs: string[] = [];
  for (let at = 0; at + macLength <= bytes.length && macs.length < maxMacs; at += macLength)
    macs.push(formatMac(bytes.subarray(at, at + macLength)));
  return macs;
}
