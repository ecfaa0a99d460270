import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { transportFromKubeconfig } from "./kubeconfig.ts";

const clusters = "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443'}}]";
const contexts = "contexts: [{name: x, context: {cluster: c, user: u}}]";
const users = "users: [{name: u, user: {token: t}}]";

const refused: readonly { what: string; text: string; code: string; message: RegExp }[] = [
  { what: "not YAML", text: "a: [", code: "KubeconfigInvalid", message: /./ },
  {
    what: "no current-context",
    text: `${clusters}\n${contexts}\n${users}`,
    code: "KubeconfigInvalid",
    message: /current-context/,
  },
  {
    what: "a context that is not there",
    text: `current-context: y\n${contexts}`,
    code: "KubeconfigInvalid",
    message: /contexts has no entry named "y"/,
  },
  {
    what: "a credential plugin",
    text: `current-context: x\n${clusters}\n${contexts}\nusers: [{name: u, user: {exec: {command: aws}}}]`,
    code: "KubeconfigUnsupported",
    message: /exec/,
  },
  {
    what: "a server without TLS",
    text: `current-context: x\n${contexts}\n${users}\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:80'}}]`,
    code: "BadServerUrl",
    message: /http:\/\/127/,
  },
];

async function withFile<T>(text: string, act: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "kubeconfig-"));
  try {
    await writeFile(join(folder, "config"), text);
    return await act(join(folder, "config"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const { what, text, code, message } of refused) {
  test(`kubeconfig refused: ${what}`, () =>
    withFile(text, (path) => assert.rejects(transportFromKubeconfig(path), { code, message })));
}

test("a kubeconfig that cannot be read is said so, with its path", () =>
  assert.rejects(transportFromKubeconfig("/nonexistent/config"), {
    code: "KubeconfigMissing",
    message: /nonexistent/,
  }));

test("a static kubeconfig gives a transport", () =>
  withFile(`current-context: x\n${clusters}\n${contexts}\n${users}`, async (path) => {
    const transport = await transportFromKubeconfig(path);
    transport.close();
    assert.equal(typeof transport.request, "function");
  }));
