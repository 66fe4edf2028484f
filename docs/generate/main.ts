/** Writes the generated parts of the documentation: `make docs`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./markdown.ts";
import { generatedPages } from "./pages.ts";

for (const { file, wanted } of generatedPages()) writeFileSync(join(root, file), wanted);
