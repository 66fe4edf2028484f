/**
 * Decides which configuration is in force. The ConfigMap's text is only a candidate: it has to be there, be valid, and leave a pool for
 * every address that Services hold from the configuration before it; otherwise that one stays. The last accepted text is kept in the
 * ConfigMap `ingot-status`, so that the same rule holds across restarts, and so that every process comes to the same decision from the same
 * cluster. No I/O: the informers' objects and what was read of texts go in, decisions and effects come out. Writing `ingot-status`, events
 * and metrics are the callers'.
 */
export {
  configKey,
  customResources,
  type HeldTogether,
  type Holdings,
  type InForce,
  lastGoodKey,
  type Missing,
  mayRenumber,
  type NamespaceLabels,
  renumberAnnotation,
  type Stranded,
  statusConfigMap,
  strandedBy,
  summaryConfigMap,
} from "./candidate.ts";
export {
  type ConfigStatus,
  configurationAnswer,
  configurationVerdict,
  explain,
  isInForce,
  problemText,
  strandedText,
} from "./describe.ts";
export { fingerprint, readCandidate, textVersion } from "./fingerprint.ts";
export { LiveConfig, type LiveConfigEffect, type LiveDecision, type SeenConfig } from "./live-config.ts";
