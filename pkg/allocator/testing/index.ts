/** Short forms of pools, requests and addresses, and the allocator's rules once more, written as plainly as they can be. */
export { pool, port, request } from "./builders.ts";
export { clash, Naive } from "./naive.ts";
