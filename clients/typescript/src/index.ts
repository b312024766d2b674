export { ConversationStore } from "./client.js";
export type { Conversations, Items, Messages } from "./client.js";
export {
  ApiError,
  AuthenticationError,
  BadRequestError,
  ConflictError,
  ConnectionError,
  ConversationStoreError,
  IncompatibleVersionError,
  NotFoundError,
  PreconditionFailedError,
  RateLimitError,
  ServerError,
  TooLargeError,
} from "./errors.js";
export type { ClientOptions, OutgoingRequest, Sign } from "./http.js";
export { CONTRACT_VERSION } from "./openapi.js";
export { StoredRecord } from "./records.js";
export type { Records } from "./records.js";
export type * from "./types.js";
