import type { Target } from "../target.ts";
import { bfd } from "./bfd.ts";
import { bgp } from "./bgp.ts";
import { converter, manifest, yaml } from "./configuration.ts";
import { http } from "./http.ts";
import { admission, kernelRecord, netbox, recording } from "./json.ts";
import { annotated, watch } from "./kubernetes.ts";
import { arp, ndp } from "./layer2.ts";
import { netlink, routes } from "./linux.ts";
import { gossip, packet, stream } from "./memberlist.ts";

/** Every parser of what comes from outside the process. */
export const targets: readonly Target[] = [
  ...[arp, ndp, bgp, bfd, packet, stream, gossip],
  ...[yaml, manifest, converter, annotated, watch, netlink, routes, http],
  ...[netbox, recording, admission, kernelRecord],
];

export const targetNames: readonly string[] = targets.map(({ name }) => name);

/** @throws {Error} where there is none of that name */
export function targetNamed(name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (found === undefined) throw new Error(`There is no parser ${name}`);
  return found;
}
