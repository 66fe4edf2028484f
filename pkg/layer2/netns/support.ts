/** What the scenarios share. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLog } from "#pkg/log";
import { type Mac, parseMac } from "#pkg/net";
import { Layer2, type Layer2Options } from "../index.ts";
import { ip, type Lan } from "./lan.ts";

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

export async function until(condition: () => boolean, milliseconds = 3000): Promise<void> {
  for (const end = performance.now() + milliseconds; !condition(); await sleep(5))
    if (performance.now() > end) assert.fail(`not within ${milliseconds} ms: ${condition}`);
}

/** The MAC address of an interface of the client. */
export async function clientMac(lan: Lan, name: string): Promise<Mac> {
  const [link] = JSON.parse(await lan.call("run", "ip", "-json", "link", "show", "dev", name));
  return parseMac(link.address) ?? assert.fail(`${name} has no MAC address`);
}
