/** Makes one checkpoint of what the speaker recorded. */
import { makeCheckpointHere } from "#pkg/checkpoints";
import { speakerCore } from "./core/replay.ts";

makeCheckpointHere(speakerCore);
