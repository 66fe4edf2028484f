import type { Config, ParsedConfig } from "#pkg/config";
import { parseRange } from "#pkg/net";

/** Pools from `NAME FIRST-LAST… [avoid]; NAME …`, so that a test's configurations fit on its lines. */
export function poolsOf(text: string): Config {
  const pools = text
    .split(";")
    .filter(Boolean)
    .map((line) => {
      const [name = "", ...words] = line.trim().split(" ");
      const ranges = words.map(parseRange).filter((range) => typeof range !== "string");
      return {
        name,
        ranges,
        protocol: "layer2" as const,
        autoAssign: true,
        advertisements: [],
        nodeSelectors: [],
        interfaces: [],
        l2Placement: { subnet: false, sticky: false },
        conflictProbe: "report" as const,
        cidrs: ranges.flatMap((range) => range.toPrefixes()),
        avoidBuggyIPs: words.includes("avoid"),
      };
    });
  return { pools, peers: [], bfdProfiles: new Map() };
}

/** Reads the same form; a text with `!` is refused with one problem, one with `?` has a warning. */
export function parsePools(text: string): ParsedConfig {
  const problem = { path: "address-pools", line: 1, column: text.search(/[!?]/) + 1, message: "looks odd" };
  if (text.includes("!")) return { problems: [{ severity: "error", ...problem }] };
  return { config: poolsOf(text.replace("?", "")), problems: text.includes("?") ? [{ severity: "warning", ...problem }] : [] };
}
