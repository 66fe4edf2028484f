/** Values that cost something to make or are worth keeping, for as long as there is room for them. */
export { RecentMap } from "./recent-map.ts";
export { remembered } from "./remembered.ts";
