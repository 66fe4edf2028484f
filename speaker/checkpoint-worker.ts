/** Makes one checkpoint of the speaker's recording. */
import { makeCheckpointHere } from "#pkg/core";
import { speakerCore } from "./core/index.ts";

await makeCheckpointHere(speakerCore);
