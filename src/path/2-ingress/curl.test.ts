/** curl as a client that we did not write. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { selfSigned } from "./testing-certificate.ts";
import { snapshotOf, startTestIngress, type TestIngress } from "./testing.ts";

const skip = spawnSync("curl", ["--version"]).error === undefined ? false : "curl is not installed";

describe("curl", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "inroad-curl-"));
  const body = randomBytes(2 * 1024 * 1024);
  let backend: Server;
  let ingress: TestIngress;

  before(async () => {
    backend = createServer((req, res) => {
      const hash = createHash("sha256");
      req.on("data", (chunk: Buffer) => hash.update(chunk));
      req.on("end", () => res.end(`${req.headers["x-forwarded-proto"]?.toString()} ${hash.digest("hex")}\n`));
    });
    backend.listen(0, "127.0.0.1");
    await once(backend, "listening");
    const { port } = backend.address() as AddressInfo;
    const defaultCertificate = await selfSigned("app.test");
    writeFileSync(join(folder, "ca.pem"), defaultCertificate.cert);
    writeFileSync(join(folder, "body"), body);
    const snapshot = snapshotOf([{ name: "app", port }], [{ host: "app.test", path: "/", backend: "app" }]);
    ingress = await startTestIngress(snapshot, { defaultCertificate });
  });
  after(async () => {
    await ingress.close();
    backend.closeAllConnections();
    backend.close();
    rmSync(folder, { recursive: true });
  });

  const curl = async (scheme: "http" | "https", ...options: readonly string[]): Promise<string> => {
    const port = ingress[scheme];
    const place = ["--resolve", `app.test:${port}:127.0.0.1`, "--cacert", join(folder, "ca.pem")];
    const common = ["--silent", "--show-error", "--fail", "--max-time", "10", ...place];
    const { stdout } = await promisify(execFile)("curl", [
      ...common,
      ...options,
      `${scheme}://app.test:${port}/`,
    ]);
    return stdout;
  };
  const hash = createHash("sha256").update(body).digest("hex");

  for (const scheme of ["http", "https"] as const) {
    test(`sends 2 MiB with Expect: 100-continue over ${scheme}`, async () => {
      const sent = await curl(
        scheme,
        "--data-binary",
        `@${join(folder, "body")}`,
        "--header",
        "Expect: 100-continue",
      );
      assert.equal(sent, `${scheme} ${hash}\n`);
    });

    test(`sends 2 MiB in chunks over ${scheme}`, async () => {
      const sent = await curl(
        scheme,
        "--upload-file",
        join(folder, "body"),
        "--header",
        "Transfer-Encoding: chunked",
      );
      assert.equal(sent, `${scheme} ${hash}\n`);
    });
  }

  test("HEAD ends at its head, and one connection serves two requests", async () => {
    const text = await curl("https", "--head");
    assert.match(text, /^HTTP\/1.1 200 OK\r\n/);
    const two = await curl(
      "http",
      "--write-out",
      "%{num_connects}\n",
      `http://app.test:${ingress.http}/first`,
    );
    assert.deepEqual(two.match(/^[01]$/gm), ["1", "0"]);
  });
});
