/**
 * Which Services are announced, as speakers tell the controller: one short line for each Service, in eight ConfigMaps of the namespace. One
 * speaker writes all lines, the controller reads them. Here are the names and the form of a line; pure.
 */
export {
  type AnnouncedLine,
  aliveKey,
  announcedConfigMap,
  announcedConfigMaps,
  announcedKey,
  announcedLabels,
  areAllOf,
  decodeAnnounced,
  encodeAnnounced,
  reporterKey,
  subjectOf,
  writerKey,
} from "./announced.ts";
