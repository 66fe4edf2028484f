/** The ConfigMap's text as a checked `Config`. */
export type {
  BfdProfile,
  BgpAdvertisement,
  Community,
  Config,
  LabelExpression,
  LabelSelector,
  ParsedConfig,
  Peer,
  Pool,
  Problem,
  Protocol,
} from "./config.ts";
