/** What others than the speaker need of its core: to run what was recorded through it again. */
export { speakerCore } from "./replay.ts";
