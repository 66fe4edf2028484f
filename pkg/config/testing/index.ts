/** Short forms of configuration objects. */
export { pool } from "./pool.ts";
