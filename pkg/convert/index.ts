/**
 * Configurations of one load balancer as those of another: MetalLB's custom resources (0.13 to 0.16) from and to the ConfigMap, OpenELB's
 * and PureLB's custom resources to the ConfigMap. Text in, text out: YAML with any number of documents, and Lists. The conversion names
 * everything that the result cannot say, also in a comment on top of it. The result has been read back in its target format. Pure; leaves
 * out the origin of texts. It leaves out Services too: only notes tell what to change there.
 * MetalLB's custom resources are a configuration by themselves as well, by the same mapping; then nothing is lost in silence: a field that
 * cannot be done refuses the configuration, with its object.
 */
export { convert } from "./convert.ts";
export {
  hasCustomResources,
  type LiveObject,
  liveKinds,
  liveObjectsIn,
  liveObjectText,
  liveSchemas,
  liveText,
  parseConfiguration,
  parseCustomResources,
} from "./live.ts";
export { configurationKinds } from "./metallb/schemas.ts";
export type { Conversion } from "./report.ts";
export type { Source } from "./source-text.ts";
