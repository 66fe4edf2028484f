/** Makes one checkpoint of what the speaker recorded. */
import { makeCheckpointHere } from "#pkg/core";
import { speakerCore } from "./core/index.ts";

makeCheckpointHere(speakerCore);
