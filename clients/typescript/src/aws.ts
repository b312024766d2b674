import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import type { SignatureV4Init } from "@smithy/signature-v4";

import type { OutgoingRequest, Sign } from "./http.js";

export interface SigV4Options {
  region: string;
  /** Credentials, or a function that gets them, like those of `@aws-sdk/credential-providers`. */
  credentials: SignatureV4Init["credentials"];
  /** The service that verifies the signature: by default API Gateway; `lambda` for the URL of a function. */
  service?: string | undefined;
}

/**
 * Signs requests with AWS's Signature Version 4, for an API whose authorizer is IAM:
 *
 *     new ConversationStore({ baseUrl, sign: sigv4({ region: "eu-west-1", credentials: fromNodeProviderChain() }) })
 */
export function sigv4({ region, credentials, service = "execute-api" }: SigV4Options): Sign {
  const signer = new SignatureV4({ service, region, credentials, sha256: Sha256 });
  return async ({ method, url, headers, body }: OutgoingRequest) => {
    const { protocol, hostname, port, pathname, searchParams, host } = url;
    const query: Record<string, string[]> = {};
    for (const [name, value] of searchParams) (query[name] ??= []).push(value);
    const signed = await signer.sign({
      method,
      protocol,
      hostname,
      ...(port && { port: Number(port) }),
      path: pathname,
      query,
      headers: { ...headers, host },
      body,
    });
    // `fetch` sets the host itself, and some runtimes refuse it as a header.
    const { host: _host, ...rest } = signed.headers;
    return rest;
  };
}
