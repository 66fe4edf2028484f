/**
 * The ConfigMap's text as a checked `Config`: MetalLB's configuration up to v0.12.1, read as yaml.v2 reads YAML 1.1 in strict
 * mode. Everything that is wrong is reported with its place, and nothing is used unless all of it is right. Shapes, types and
 * ranges are in `schema.json` (JSON Schema, for editors too); rules between fields are code, one file per concern. Pure: no I/O,
 * no clock, no randomness. It also finds the pool of an address, and the nodes that a selector matches.
 */
export {
  type BfdProfile,
  type BgpAdvertisement,
  type BgpRole,
  type Config,
  type ConflictProbe,
  type Fence,
  formatProtocols,
  hasOwners,
  isStrict,
  type KernelPlacement,
  type LabelSelector,
  type NamespaceSet,
  type Netbox,
  type Peer,
  type Pool,
  type Protocol,
  type Quota,
  type Reservation,
  type ReservationHolder,
  type SecretKey,
  selfTestInterval,
} from "./config.ts";
export { limits } from "./limits.ts";
export { type Input, parseManifest, readInput } from "./manifest.ts";
export { parseConfig, pathOfNamespaceSelectors, readConfig, readFields } from "./parse.ts";
export {
  type AsksFor,
  countUsable,
  countUsableBelow,
  countUsableIn,
  isBuggyAddress,
  PoolIndex,
  placeTogether,
  usableAt,
} from "./pool-addresses.ts";
export { formatProblem, nearestName, type ParsedConfig, type Problem, Problems } from "./problems.ts";
export { redactConfig } from "./redact.ts";
export { aggregationLength } from "./rules/advertisements.ts";
export { communityForms, formatCommunity, isWellKnownCommunity, parseCommunity } from "./rules/communities.ts";
export { peersOfNode } from "./rules/from-node.ts";
export { describeRouter } from "./rules/peer.ts";
export { matchesSelector } from "./rules/selectors.ts";
export {
  advertisementsFor,
  advertisesByNamespace,
  differByService,
  interfacesOfPool,
  type Layer2Pool,
  layer2PoolFor,
  layer2PoolsOf,
  mayAsk,
  type ServiceAdvertisements,
  textsOfServices,
} from "./rules/service-policy.ts";
export { anyMatches, isIn, type NamespaceLabels } from "./rules/tenancy.ts";
export { needsRestart, type ReachedPeer, type SessionSettings, sessionSettings } from "./session-settings.ts";
export type { RawConfig } from "./shape/raw.ts";
export { isSlotPool, type SlotPool, slotPools } from "./slots.ts";
export { Assembly, type Token, takeApart } from "./tokens.ts";
export { textAt, valueAt, type YamlMapping, type YamlNode } from "./yaml/node.ts";
export { LineIndex } from "./yaml/offsets.ts";
