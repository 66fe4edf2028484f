/** Sentences for people. Pure. */
export { list } from "./list.ts";
