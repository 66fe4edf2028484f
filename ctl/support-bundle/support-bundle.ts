import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { clusterCommand, noPods } from "../cluster/cluster-command.ts";
import { UsageError, version } from "../command.ts";
import { type BundleFile, collect } from "./collect.ts";

export const supportBundle = clusterCommand({
  name: "support-bundle",
  summary: "Collect data that help to find a fault from afar, without secrets",
  usage: "FILE",
  takes: 1,
  isOnce: true,
  needsApi: true,
  worksWithoutPods: true,
  help: `Writes a .tar.gz: the ConfigMaps, or custom resources, without passwords, Services of type LoadBalancer, nodes, our Pods and events,
the answers of all processes under /v1 with their recordings, their metrics, and versions. Secrets are not read. Look through it before you send it: names,
addresses and labels of your cluster are in it.`,
  examples: ["ingotctl support-bundle ingot.tar.gz"],
  async find({ processes, args: [file = ""], api, systemNamespace, now, io }) {
    if (!/\.(tar\.gz|tgz)$/.test(file)) throw new UsageError(`the file is a .tar.gz, not ${JSON.stringify(file)}`);
    const folder = file.replace(/^.*\//, "").replace(/\.(tar\.gz|tgz)$/, "");
    if (/^\.*$/.test(folder)) throw new UsageError(`the file needs a name before its ending: ${JSON.stringify(file)}`); // It is that of a folder, too.
    const { files, unreachable, unread } = await collect(await api(), processes, systemNamespace);
    const about = { ingotctl: version, node: process.version, collected: now.toISOString(), namespace: systemNamespace };
    const all = [{ name: "about.json", text: `${JSON.stringify(about, undefined, 2)}\n` }, ...files];
    await io.writePrivateFile(file, gzipSync(await tar(folder, all, now)));
    const isEmpty = processes.targets.length === 0;
    const lines = [`${file}: ${all.length} files\n`, ...unread.map((one) => `not read: ${one}\n`)];
    return {
      value: { file, files: all.map(({ name }) => name), unread },
      text: lines.join(""),
      unreachable,
      note: isEmpty ? noPods(systemNamespace) : undefined,
      isLossy: unread.length > 0 || isEmpty,
    };
  },
});

async function tar(folder: string, files: readonly BundleFile[], mtime: Date): Promise<Buffer> {
  const archive = pack();
  for (const { name, text } of files) archive.entry({ name: `${folder}/${name}`, mode: 0o600, mtime }, text);
  archive.finalize();
  return buffer(archive);
}
