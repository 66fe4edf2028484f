/**
 * Addresses that are in a pool and yet another host of the network has them: no Service gets one, and no speaker announces one, until
 * it is free. They are kept in the ConfigMap `ingot-conflicts`, one key each. Speakers put an address there and, when nobody answers
 * for it any more, take it out; the controller only reads. Here are the words and the form of an entry; pure.
 */
export {
  decodeQuarantine,
  encodeQuarantine,
  maxOccupants,
  type Occupant,
  quarantineConfigMap,
  quarantineKey,
} from "./quarantine.ts";
