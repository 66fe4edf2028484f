/**
 * VitePress: the pages stay where they are and as they are, with the names that their links have. It refuses a link that leads nowhere.
 * The search runs in the browser.
 */
import { cpSync, globSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";

// `make site` runs a copy of this in .cache/site, which is as deep in the tree.
const fromHere = (path: string) => join(import.meta.dirname, path);
const root = fromHere("../../..");
const outDir = join(root, "dist/site");
const pages = ["*.md", "docs/*.md", "config-samples/*.md", "charts/*/*.md"];
/** Other files that pages link to. */
const files = ["config-samples/*.yaml", "docs/openapi.yaml", "LICENSE"];

interface Group {
  readonly text: string;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

/** The links of docs/index.md, by its headings. */
export function sidebar(): readonly Group[] {
  const [, ...sections] = readFileSync(join(root, "docs/index.md"), "utf8").split(/^#+ /m);
  return sections.map((section) => {
    const [heading = ""] = section.split("\n");
    const links = [...section.matchAll(/\[([^\]]+)\]\(([^)\s]+)\.md\)/g)];
    const items = new Map(links.map(([, text = "", page = ""]) => [normalize(join("docs", page)), text]));
    return { text: heading, items: [...items].map(([page, text]) => ({ text, link: `/${page}` })) };
  });
}

export default {
  title: "Ingot",
  description: "Addresses for Kubernetes Services of type LoadBalancer on bare metal",
  srcDir: root,
  outDir,
  cacheDir: join(root, ".cache/site/vite"),
  srcExclude: globSync("**/*.md", { cwd: root, exclude: ["**/node_modules", ".git", ".cache", "dist"] }).filter(
    (file) => !pages.some((pattern) => globSync(pattern, { cwd: root }).includes(file)),
  ),
  ignoreDeadLinks: ["./LICENSE"], // It is no page, and is there.
  markdown: { languageAlias: { bird: "nginx", frr: "ini" } },
  rewrites: { "README.md": "index.md" },
  vite: {
    publicDir: false,
    // From a page, Node's way of looking for packages does not lead there.
    resolve: {
      alias: [
        { find: /^vue$/, replacement: fromHere("../node_modules/vue/dist/vue.runtime.esm-bundler.js") },
        { find: /^vue\/server-renderer$/, replacement: fromHere("../node_modules/vue/server-renderer/index.mjs") },
      ],
    },
  },
  themeConfig: {
    nav: [
      { text: "Documentation", link: "/docs/" },
      { text: "Install", link: "/docs/install" },
      { text: "Questions", link: "/docs/faq" },
    ],
    sidebar: sidebar(),
    outline: "deep",
    search: { provider: "local" },
  },
  buildEnd() {
    for (const file of globSync(files, { cwd: root })) cpSync(join(root, file), join(outDir, file));
  },
};
