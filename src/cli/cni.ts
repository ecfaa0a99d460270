/** What a container runtime starts (`bin/inroad.js` with CNI_COMMAND): the CNI plugin, by its environment, stdin and stdout. */
import { readSync, writeSync } from "node:fs";
import { InroadError } from "#lib/errors";
import { runCni } from "#path/node/cni";

const STDIN = 0;
const STDOUT = 1;
/** Far more than any network configuration. */
const MOST_BYTES = 1024 * 1024;

function readInput(): string {
  const chunks: Buffer[] = [];
  for (let length = 0; ;) {
    const chunk = Buffer.alloc(65_536);
    const read = readSync(STDIN, chunk);
    if (read === 0) return Buffer.concat(chunks).toString("utf8");
    chunks.push(chunk.subarray(0, read));
    length += read;
    if (length > MOST_BYTES) throw new InroadError("EFBIG", `more than ${MOST_BYTES} bytes on stdin`);
  }
}

const { exitStatus, output } = await runCni(process.env, readInput);
process.exitCode = exitStatus;
if (output !== "") writeSync(STDOUT, `${output}\n`);
