/**
 * MetalLB's custom resources (group `metallb.io`, 0.13 to 0.16) as a source of the configuration: which of their definitions the API serves, their
 * objects in one namespace, and when a change of several objects counts. `pkg/convert` says what configuration the objects are, and
 * `pkg/live-config` which configuration is in force. Leaves out MetalLB's status objects. Writes nothing.
 */
export { CustomResources } from "./custom-resources.ts";
