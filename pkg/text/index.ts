/**
 * Text for people, in messages, logs and events: lists cut short, numbers of things, ages, and quoted texts of others, which can
 * neither flood a log nor pass for something else; commands for an installation; and a hash of a text. Pure.
 */
export {
  age,
  count,
  counted,
  escapeControls,
  fnv1a,
  forNamespace,
  list,
  listOf,
  maskControls,
  plural,
  quote,
  shorten,
  upTo,
  withOption,
  withoutQuotation,
} from "./text.ts";
