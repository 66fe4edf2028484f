/** Short forms of requests and ports, and the allocator's rules once more, written as plainly as they can be. */
export { port, request } from "./builders.ts";
export { clash, Naive } from "./naive.ts";
