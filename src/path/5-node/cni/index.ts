/** A plugin of the Container Network Interface (specification 1.1.0): one call, from its environment and input to its output. */
import { messageOf } from "#lib/errors";
import { attach, collect, detach } from "./attach.ts";
import { check } from "./check.ts";
import { readNetwork, readPrevResult, readSettings, readValidAttachments, type Network } from "./config.ts";
import { parseDocument, type Document } from "./document.ts";
import { readRequest, type Environment, type Request } from "./environment.ts";
import { CniError, cniErrorOf, errorText } from "./error.ts";
import { checkReadiness } from "./readiness.ts";
import { buildResult } from "./result.ts";
import { newestVersion, supportedVersions } from "./versions.ts";

export interface Outcome {
  readonly exitStatus: 0 | 1;
  /** For stdout; empty where the specification wants no output. */
  readonly output: string;
}

/**
 * Carries out one call. Never rejects: errors are the outcome.
 * @param readInput gives the text on stdin; what it throws is an error of code 5
 */
export async function runCni(environment: Environment, readInput: () => string): Promise<Outcome> {
  let cniVersion: string = newestVersion;
  try {
    const request = readRequest(environment);
    const document = parseDocument(inputOf(readInput));
    cniVersion = supportedVersions.find((one) => one === document["cniVersion"]) ?? newestVersion;
    return { exitStatus: 0, output: await carryOut(request, document) };
  } catch (error) {
    return { exitStatus: 1, output: errorText(cniErrorOf(error), cniVersion) };
  }
}

function inputOf(readInput: () => string): string {
  try {
    return readInput();
  } catch (error) {
    throw new CniError("inputOutput", `stdin cannot be read: ${messageOf(error)}`);
  }
}

async function carryOut(request: Request, document: Document): Promise<string> {
  if (request.command === "VERSION") return versionText(document);
  const network = readNetwork(document, request.command);
  if (request.command === "ADD") return add(network, document, request);
  await act(request, network, document);
  return "";
}

async function act(
  request: Exclude<Request, { command: "VERSION" }>,
  network: Network,
  document: Document,
): Promise<void> {
  switch (request.command) {
    case "DEL":
      await detach(network, request.attachment);
      break;
    case "CHECK": {
      const prevResult = readPrevResult(document);
      if (prevResult === undefined) throw new CniError("badConfig", "invalid prevResult: CHECK needs it");
      await check(network, request.attachment, request.netns, prevResult);
      break;
    }
    case "STATUS":
      checkReadiness(network, readSettings(document));
      break;
    case "GC":
      await collect(network, readValidAttachments(document));
      break;
  }
}

async function add(
  network: Network,
  document: Document,
  { attachment, netns }: Extract<Request, { netns: string }>,
): Promise<string> {
  const settings = readSettings(document);
  const prevResult = readPrevResult(document);
  const link = await attach(network, settings, attachment, netns);
  const made = { attachment, netns, link, mtu: settings.mtu };
  return JSON.stringify(buildResult(network.cniVersion, made, settings.dns, prevResult));
}

function versionText({ cniVersion }: Document): string {
  if (typeof cniVersion !== "string") throw new CniError("undecodable", "cniVersion must be a text");
  return JSON.stringify({ cniVersion, supportedVersions });
}
