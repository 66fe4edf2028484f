import type { Target } from "../target.ts";

// A module is loaded only where one of its parsers is fuzzed: what one input ran is read from all functions in memory, also from those that did
// not run, so that with all modules there would be a third of the inputs in the same time.
const modules: readonly (readonly [names: readonly string[], load: () => Promise<Readonly<Record<string, Target>>>])[] = [
  [["arp", "ndp", "layer2-proof"], () => import("./layer2.ts")],
  [["router-advertisements"], () => import("./router-discovery.ts")],
  [["bgp"], () => import("./bgp.ts")],
  [["bgp-capabilities"], () => import("./bgp-capabilities.ts")],
  [["bgp-texts"], () => import("./bgp-texts.ts")],
  [["bfd"], () => import("./bfd.ts")],
  [["memberlist-packet", "memberlist-stream", "gossip"], () => import("./memberlist.ts")],
  [["yaml", "manifest", "convert", "custom-resources"], () => import("./configuration.ts")],
  [["annotations", "kubernetes"], () => import("./kubernetes.ts")],
  [["netlink", "netfilter", "routes"], () => import("./linux.ts")],
  [["http"], () => import("./http.ts")],
  [["netbox", "recording", "admission", "kernel-record"], () => import("./json.ts")],
];

/** Every parser of input from outside the process. */
export const targetNames: readonly string[] = modules.flatMap(([names]) => names);

/** @throws {Error} for an unknown name */
export async function targetNamed(name: string): Promise<Target> {
  const load = modules.find(([names]) => names.includes(name))?.[1];
  const found = load && Object.values(await load()).find((target) => target.name === name);
  if (found === undefined) throw new Error(`There is no parser ${name}`);
  return found;
}
