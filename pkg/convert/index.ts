/**
 * Configurations of one load balancer as those of another: MetalLB's custom resources (0.13 to 0.16) from and to the ConfigMap, OpenELB's
 * and PureLB's custom resources to the ConfigMap. Text in, text out: YAML with any number of documents, and Lists. What the result
 * cannot say is named, in a comment on top of it too. The result has been read again as what it is to be. Pure; leaves out where texts come
 * from, and Services, of which only notes tell what to change.
 */
export { convert } from "./convert.ts";
export type { Conversion, Source, SourceProblem } from "./report.ts";
