"""The conversation service written plainly: Postgres for all messages, Redis for the last 100 as one JSON text.

It keeps none of the store's promises: two writers at a time lose messages from the cache, and nobody notices.
"""

import json
import os
import uuid

import psycopg
import redis

MAX_CACHED_MESSAGES = 100
SECONDS = 7 * 24 * 3600


class ConversationService:
    def __init__(self):
        self.redis = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
        self.postgres = psycopg.connect(os.environ["DATABASE_URL"])
        with self.postgres.transaction():
            self.postgres.execute("select pg_advisory_xact_lock(1)")
            self.postgres.execute(
                """create table if not exists plain_conversations (
                    conversation_id text primary key, created_at timestamptz default now(),
                    updated_at timestamptz default now())"""
            )
            self.postgres.execute(
                """create table if not exists plain_messages (
                    id text primary key, conversation_id text not null, role text not null, content text not null,
                    created_at timestamptz not null default clock_timestamp())"""
            )
            self.postgres.execute(
                """create index if not exists plain_messages_idx
                    on plain_messages (conversation_id, created_at desc)"""
            )

    def add_message(self, conversation_id, role, content):
        key = f"plain:conversation:{conversation_id}:messages"
        message = {"id": str(uuid.uuid4()), "role": role, "content": content}
        cached = self.redis.get(key)
        messages = json.loads(cached) if cached else []
        messages.append(message)
        if len(messages) > MAX_CACHED_MESSAGES:
            messages = messages[-MAX_CACHED_MESSAGES:]
        self.redis.setex(key, SECONDS, json.dumps(messages))
        with self.postgres.transaction():
            self.postgres.execute(
                """insert into plain_conversations (conversation_id) values (%s)
                    on conflict (conversation_id) do update set updated_at = now()""",
                (conversation_id,),
            )
            self.postgres.execute(
                "insert into plain_messages (id, conversation_id, role, content) values (%s, %s, %s, %s)",
                (message["id"], conversation_id, role, content),
            )
        return message

    def get_recent_messages(self, conversation_id, limit=MAX_CACHED_MESSAGES):
        key = f"plain:conversation:{conversation_id}:messages"
        cached = self.redis.get(key)
        if cached:
            return json.loads(cached)[-limit:]
        rows = self.postgres.execute(
            """select id, role, content from plain_messages where conversation_id = %s
                order by created_at desc limit %s""",
            (conversation_id, limit),
        ).fetchall()
        messages = [{"id": id, "role": role, "content": content} for id, role, content in reversed(rows)]
        self.redis.setex(key, SECONDS, json.dumps(messages))
        return messages
