/**
 * NetBox as the place where an organisation keeps its addresses: a client of its REST API (releases 3.1 and later), and the keeper of one
 * pool's records there. A record belongs to this cluster when it carries all tags of the pool's configuration; no other is ever changed.
 * Its description names the Service and its UID, so that a process that starts finds earlier requests of its own and of the process
 * before it.
 */
export type { NetboxRecord } from "./answers.ts";
export { NetboxClient } from "./client.ts";
export type { Claim, Wish } from "./plan.ts";
export { type NetboxView, PoolRecords } from "./pool-records.ts";
