/** Short forms of configuration objects. */
export { pool } from "./pool.ts";
export { reached } from "./reached.ts";
