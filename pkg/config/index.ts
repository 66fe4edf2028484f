/**
 * The ConfigMap's text as a checked `Config`: MetalLB's configuration up to v0.12.1, read as yaml.v2 reads YAML 1.1 in strict
 * mode. Everything that is wrong is reported with its place, and nothing is used unless all of it is right. Shapes, types and
 * ranges are in `schema.json` (JSON Schema, for editors too); rules between fields are code, one file per concern. Pure: no I/O,
 * no clock, no randomness. Which pool an address belongs to and which nodes a selector matches are answered here too.
 */

export { aggregationLength } from "./aggregation-length.ts";
export { isBuggy, soundAt, soundBelow } from "./buggy.ts";
export { formatCommunity } from "./community.ts";
export type {
  BfdProfile,
  BgpAdvertisement,
  Community,
  Config,
  ConflictProbe,
  L2Placement,
  LabelExpression,
  LabelSelector,
  ParsedConfig,
  Peer,
  Pool,
  Problem,
  Protocol,
  SecretKey,
} from "./config.ts";
export { type ConfigMapKey, type Input, readInput } from "./input.ts";
export { matchesSelector } from "./matches-selector.ts";
export { parseConfig } from "./parse.ts";
export { PoolIndex } from "./pool-index.ts";
export { countUsable, countUsableIn } from "./pool-size.ts";
export { formatProblem } from "./problem.ts";
