import { type Config, parseConfig } from "#pkg/config";

/** A configuration from `NAME FIRST-LAST… [avoid]; NAME …`, all of layer 2, so that a test's configurations fit on its lines. */
export function configText(pools: string): string {
  const entries = pools
    .split(";")
    .filter(Boolean)
    .map((line) => {
      const [name, ...words] = line.trim().split(" ");
      const addresses = words.filter((word) => word !== "avoid").map((range) => JSON.stringify(range));
      return `\n- {name: ${name}, protocol: layer2, avoid-buggy-ips: ${words.includes("avoid")}, addresses: [${addresses}]}`;
    });
  return `address-pools: ${entries.join("") || "[]"}`;
}

/** What `configText` says. */
export function configOf(pools: string): Config {
  const { config } = parseConfig(configText(pools));
  if (config === undefined) throw new Error(`Cannot read configuration: ${pools}`);
  return config;
}
