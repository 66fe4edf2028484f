import { readFileSync } from "node:fs";
import type { Family } from "#pkg/net";

const settings: Record<Family, string> = { IPv4: "net.ipv4.ip_forward", IPv6: "net.ipv6.conf.all.forwarding" };

/** Why this machine does not return packets that others send to themselves by way of it; undefined where it does. */
export function whyNotForwarding(family: Family): string | undefined {
  const setting = settings[family];
  let value: string;
  try {
    value = readFileSync(`/proc/sys/${setting.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    value = "not to be read";
  }
  return value === "1" ? undefined : `the peer's echo packets would not come back: ${setting} is ${value}, and has to be 1`;
}
