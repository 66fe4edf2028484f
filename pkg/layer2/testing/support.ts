import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLog } from "#pkg/log/testing";
import { type Address, broadcastMac, type Mac, parseMac } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type ArpFrame, ArpOperation, decodeArp } from "../frames/arp.ts";
import { Layer2, type Layer2Options } from "../layer2.ts";
import { ip, type Lan } from "./lan.ts";

/** Shared by the scenarios. */

/** One whose thread runs. */
export async function started(options: Partial<Layer2Options> = {}): Promise<Layer2> {
  const layer2 = new Layer2({ log: silentLog, ...options });
  await layer2.start();
  await layer2.begin();
  return layer2;
}

export function statusOf(layer2: Layer2, interfaceName: string): string | undefined {
  return layer2.interfaces().find(({ name }) => name === interfaceName)?.status;
}

export function macText(name: string): string {
  return JSON.parse(ip(`-json link show dev ${name}`))[0].address;
}

export function mac(name: string): Mac {
  return parseMac(macText(name)) ?? assert.fail(`${name} has no MAC address`);
}

export async function until(condition: () => boolean, milliseconds = 60_000): Promise<void> {
  for (const end = performance.now() + milliseconds; !condition(); await sleep(5))
    if (performance.now() > end) assert.fail(`not within ${milliseconds} ms: ${condition}`);
}

/** The MAC address of an interface of the client. */
export async function clientMac(lan: Lan, name: string): Promise<Mac> {
  const [link] = JSON.parse(await lan.call("run", "ip", "-json", "link", "show", "dev", name));
  return parseMac(link.address) ?? assert.fail(`${name} has no MAC address`);
}

/** The processor's time that threads of this process with this name have had, to about 10 ms. */
export function threadMilliseconds(name: string): number {
  let ticks = 0; // A tick has 10 ms.
  for (const thread of readdirSync("/proc/self/task")) {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
    if (!stat.includes(`(${name})`)) continue;
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // From the third one, the state (proc_pid_stat(5)).
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10;
}

/** Open file descriptors of this process. */
export function descriptors(): string[] {
  return readdirSync("/proc/self/fd");
}

/** Descriptors of this process's netlink sockets. */
export function netlinkDescriptors(): number[] {
  const inodes = readFileSync("/proc/self/net/netlink", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/).at(-1));
  return descriptors().flatMap((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.includes(inode) ? [Number(fd)] : [];
    } catch {
      return []; // The descriptor that read the directory.
    }
  });
}

export const virtual = address("192.0.2.100");
// Not known to the client's kernel, so that no request of its own comes between.
export const quiet = address("192.0.2.101");

/** The client's broadcast request for an address, with `changes`. */
export async function requestFor(lan: Lan, target: Address, changes: Partial<ArpFrame> = {}): Promise<ArpFrame> {
  const client = await clientMac(lan, "host0");
  return {
    destination: broadcastMac,
    source: client,
    operation: ArpOperation.request,
    senderMac: client,
    senderAddress: Number(address("192.0.2.2").value),
    targetMac: 0,
    targetAddress: Number(target.value),
    ...changes,
  };
}

/**
 * Asserts that announcements came every 1.1 s for 5 s: each may be late on a busy machine, none is early, and after the last one no other
 * has its place. @param at milliseconds since the first could be sent
 */
export function assertTurns(at: readonly number[]): void {
  assert.ok(at.length <= 5 && (at.at(-1) ?? 0) + 1_200 > 5_000, `turns come too often, or end too soon: ${at}`);
  for (const [turn, when] of at.entries()) assert.ok(when > turn * 1_100 - 50, `turns come too close: ${at}`);
}

/** The announcements that the client sees in the next `milliseconds`. */
export async function gratuitous(lan: Lan, milliseconds: number, name = "host0"): Promise<{ at: number; frame: ArpFrame }[]> {
  const seen = await lan.call("collect", name, milliseconds);
  return seen.flatMap(({ at, frame: bytes }) => {
    const frame = decodeArp(bytes);
    return frame !== undefined && frame.senderAddress === frame.targetAddress ? [{ at, frame }] : [];
  });
}
