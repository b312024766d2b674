"""A client of the conversation store.

    from conversation_store import ConversationStore

    with ConversationStore("http://127.0.0.1:9000") as store:
        store.add_messages("trip", [{"role": "user", "content": "Hello!"}])
        print(store.list_messages("trip").data)

`ConversationStore` and `AsyncConversationStore` have a method for each operation of the HTTP contract. Adapters for
agent frameworks are modules of their own, like `conversation_store.langgraph`.
"""

from ._wire import Pause, Request, Steps
from .auth import AwsAuth, TokenAuth
from .client import CONTRACT_VERSION, AsyncConversationStore, ConversationStore
from .errors import (
    ApiError,
    BadRequest,
    Conflict,
    IncompatibleServer,
    IncompatibleServerWarning,
    InvalidResponse,
    NotFound,
    NotModified,
    RevisionMismatch,
    ServerError,
    StoreError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    VersionMismatch,
)
from .models import (
    AddedMessages,
    Change,
    Changed,
    Conversation,
    ConversationDeletions,
    ConversationPage,
    Delete,
    ExportPage,
    Health,
    Item,
    ItemPage,
    Message,
    MessagePage,
    OwnerData,
    OwnerErasure,
    Put,
    Record,
    RecordDeletion,
    RecordPage,
)

__all__ = [
    "AddedMessages",
    "ApiError",
    "AsyncConversationStore",
    "AwsAuth",
    "BadRequest",
    "CONTRACT_VERSION",
    "Change",
    "Changed",
    "Conflict",
    "Conversation",
    "ConversationDeletions",
    "ConversationPage",
    "ConversationStore",
    "Delete",
    "ExportPage",
    "Health",
    "IncompatibleServer",
    "IncompatibleServerWarning",
    "InvalidResponse",
    "Item",
    "ItemPage",
    "Message",
    "MessagePage",
    "NotFound",
    "NotModified",
    "OwnerData",
    "OwnerErasure",
    "Pause",
    "Put",
    "Record",
    "RecordDeletion",
    "RecordPage",
    "Request",
    "RevisionMismatch",
    "ServerError",
    "Steps",
    "StoreError",
    "TokenAuth",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "VersionMismatch",
]
