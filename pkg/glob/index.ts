/** Names with wildcards, as people write them: `*` stands for any characters, also none, and `?` for one. Nothing else is special. */
export { matchesGlob } from "./glob.ts";
