/** Values that cost something to make, kept for as long as there is room for them. */
export { remembered } from "./remembered.ts";
