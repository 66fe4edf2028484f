/** Short forms of what a configuration holds. */
export { pool } from "./pool.ts";
